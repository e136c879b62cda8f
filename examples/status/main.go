// Command status puts a pool under load and shows it on nimue's status page:
//
//	go run ./examples/status
//
// and then http://localhost:7070/debug/nimue/ in a browser. It runs until it is
// interrupted, or for as long as -for says. -leak has it forget a connection every
// now and then, and -workers with a large number has callers wait.
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/status"
	_ "modernc.org/sqlite"
)

func main() {
	addr := flag.String("addr", "localhost:7070", "where the page is served")
	runFor := flag.Duration("for", 0, "how long to run; 0: until interrupted")
	workers := flag.Int("workers", 12, "how many place orders at a time, on 8 connections")
	leak := flag.Bool("leak", false, "forget a connection every 20 seconds")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *runFor > 0 {
		ctx, stop = context.WithTimeout(ctx, *runFor)
		defer stop()
	}
	if err := run(ctx, os.Stdout, *addr, *workers, *leak); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer, addr string, workers int, leak bool) (err error) {
	dir, err := os.MkdirTemp("", "nimue-status-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	// Waiting for SQLite's one write lock begins with the transaction; a lease held
	// for more than five seconds is reported, and one held for thirty taken back.
	db, err := sql.Open(nimue.DriverName, "sqlite:file:"+filepath.ToSlash(filepath.Join(dir, "shop.db"))+
		"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_txlock=immediate"+
		"&pool_name=shop&pool_max_conns=8&pool_leak_threshold=5s&pool_leak_reclaim=30s")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeDB(db)) }()
	s := &shop{db: db}
	if err := s.create(ctx); err != nil {
		return err
	}

	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/debug/nimue/", status.Handler(status.AllowControl())) // on localhost, whoever reaches it may press
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	fmt.Fprintf(out, "the page: http://%s/debug/nimue/\n", listener.Addr())

	s.work(ctx, workers, leak)
	fmt.Fprintf(out, "%d orders were placed, %d failed\n", s.placed.Load(), s.failed.Load())
	err = server.Close()
	if end := <-served; !errors.Is(end, http.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	return err
}

// closeDB waits until every connection is closed: the file is removed next.
func closeDB(db *sql.DB) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return errors.Join(nimue.PoolOf(db).Shutdown(ctx), db.Close())
}
