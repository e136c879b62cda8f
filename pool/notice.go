package pool

import (
	"context"
	"database/sql/driver"
	"log/slog"
	"sync"
)

// Notices are messages of the server's that are no errors, such as PostgreSQL's. A
// driver hands them out in the midst of a call, on a connection of which it knows
// nothing else; here they get the connection's number and the statement that it is
// at work on.

// noticed is what is to be known of a connection when a notice comes.
type noticed struct {
	mu        sync.Mutex // guards what follows; a leaf lock, taken under Pool.mu too
	conn      uint64     // 0 until it is in the pool
	statement string     // the latest
}

func (n *noticed) entered(conn uint64) {
	if n != nil {
		n.mu.Lock()
		n.conn = conn
		n.mu.Unlock()
	}
}

func (n *noticed) says(statement string) {
	if n != nil {
		n.mu.Lock()
		n.statement = statement
		n.mu.Unlock()
	}
}

// wantsNotices tells whether anybody would hear of them.
func (p *Pool) wantsNotices(cfg *Config) bool {
	return cfg.Notices != nil && (p.bulletin.listener != nil || p.log.enabled(slog.LevelInfo))
}

// hear has a new connection pass its notices on. It returns nil where nobody wants
// them.
func (p *Pool) hear(inner driver.Conn, cfg *Config) (n *noticed, err error) {
	if !p.wantsNotices(cfg) {
		return nil, nil
	}
	defer catch("Notices", &err)
	n = &noticed{}
	cfg.Notices(inner, func(level slog.Level, notice error) {
		n.mu.Lock()
		conn, statement := n.conn, n.statement
		n.mu.Unlock()
		p.tell(Event{Kind: EventNotice, Conn: conn, Err: notice, Statement: MaskSQL(statement), level: level})
	})
	return n, nil
}

func (l *logger) enabled(level slog.Level) bool {
	return l != nil && l.to.Enabled(context.Background(), level)
}
