package status

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Version is the version of the JSON's shape.
const Version = 1

// Report is the state of a process's pools at one moment.
type Report struct {
	Version int       `json:"version"`
	At      time.Time `json:"at"`
	Process Process   `json:"process"`
	Health  Health    `json:"health"` // the worst of all pools'
	Pools   []Pool    `json:"pools"`  // by name
}

// Process says whose pools they are.
type Process struct {
	Program string `json:"program"`
	PID     int    `json:"pid"`
	Host    string `json:"host,omitempty"`
}

// Health is "ready", "degraded" or "down", and the reason where it is not ready.
type Health struct {
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
}

// Pool is the state of one pool.
type Pool struct {
	Name      string    `json:"name"`
	Health    Health    `json:"health"`
	Since     time.Time `json:"since"` // when it was made
	At        time.Time `json:"at"`
	Closed    bool      `json:"closed"`
	Suspended bool      `json:"suspended"`
	Waiting   int       `json:"waiting"` // callers in the queue
	Conns     Conns     `json:"conns"`
	Peaks     Peaks     `json:"peaks"`
	Outage    *Outage   `json:"outage,omitempty"` // while there is one
	Counters  Counters  `json:"counters"`

	Wait    Histogram `json:"wait_seconds"`    // in the queue, successful or not
	Hold    Histogram `json:"hold_seconds"`    // how long leases were held
	Connect Histogram `json:"connect_seconds"` // failed ones too
	Verify  Histogram `json:"verify_seconds"`  // failed ones too

	LastErrors  []LastError `json:"last_errors"` // the latest of each kind, newest first
	Connections []Conn      `json:"connections"` // in the order in which they were made
	History     []Sample    `json:"history"`     // of the last ten minutes, oldest first
	Events      []Event     `json:"events"`      // newest first
	Settings    []Setting   `json:"settings"`    // those in force
}

// Conns counts physical connections by state.
type Conns struct {
	Max        int `json:"max"`   // pool_max_conns
	Total      int `json:"total"` // in all states
	InUse      int `json:"in_use"`
	Idle       int `json:"idle"`
	Connecting int `json:"connecting"`
	Verifying  int `json:"verifying"` // or being cleaned up after a return
	Closing    int `json:"closing"`
}

// Peaks are the highest values since the pool was made.
type Peaks struct {
	Total   Peak `json:"total"`
	InUse   Peak `json:"in_use"`
	Waiting Peak `json:"waiting"`
}

// Peak is a highest value and when it was first reached.
type Peak struct {
	N  int       `json:"n"`
	At time.Time `json:"at,omitzero"`
}

// Outage is a time in which connects fail.
type Outage struct {
	Failures  int       `json:"failures"` // connects that failed in it
	Since     time.Time `json:"since"`
	Permanent bool      `json:"permanent"` // the server refuses for good
	Refusing  bool      `json:"refusing"`  // callers who would have to wait fail at once
	NextProbe time.Time `json:"next_probe,omitzero"`
}

// Counters count since the pool was made.
type Counters struct {
	Acquires      uint64            `json:"acquires"`
	Waits         uint64            `json:"waits"`
	WaitTime      Seconds           `json:"wait_time_seconds"`
	Timeouts      uint64            `json:"timeouts"`
	Canceled      uint64            `json:"canceled"`
	Exhausted     uint64            `json:"exhausted"`
	Failed        uint64            `json:"failed"`
	Connects      uint64            `json:"connects"`
	ConnectErrors uint64            `json:"connect_errors"`
	Verifications uint64            `json:"verifications"`
	VerifyErrors  uint64            `json:"verify_errors"`
	Resets        uint64            `json:"resets"`
	Retries       uint64            `json:"retries"`
	StmtHits      uint64            `json:"stmt_hits"`
	StmtMisses    uint64            `json:"stmt_misses"`
	Leaks         uint64            `json:"leaks"`
	LeaksReturned uint64            `json:"leaks_returned"`
	LeaksTaken    uint64            `json:"leaks_taken"`
	RowsCollected uint64            `json:"rows_collected"`
	EventsLost    uint64            `json:"events_lost"`
	Retired       map[string]uint64 `json:"retired"` // by reason; those that occurred
}

// Histogram says how long something took. Values are known to an eighth.
type Histogram struct {
	Count   uint64   `json:"count"`
	Sum     Seconds  `json:"sum"`
	Mean    Seconds  `json:"mean"`
	P50     Seconds  `json:"p50"`
	P90     Seconds  `json:"p90"`
	P99     Seconds  `json:"p99"`
	Max     Seconds  `json:"max"`
	Buckets []Bucket `json:"buckets"` // those that have values, in rising order
}

// Bucket counts values between the next lower bound there can be and its own.
type Bucket struct {
	Below Seconds `json:"below"`
	Count uint64  `json:"count"`
}

// LastError is the latest error of a kind: "acquire", "connect", "verify",
// "reset", "operation" or "close".
type LastError struct {
	Kind  string    `json:"kind"`
	Error string    `json:"error"`
	At    time.Time `json:"at"`
}

// Conn is one physical connection. What is told of a lease is known only of
// leases begun while somebody watched, or where pool_leak_threshold is set.
type Conn struct {
	ID        uint64  `json:"id"`
	State     string  `json:"state"` // "idle", "leased", "verifying" or "closing"
	Age       Seconds `json:"age_seconds"`
	Idle      Seconds `json:"idle_seconds,omitempty"`
	Uses      uint64  `json:"uses"`
	Verified  Seconds `json:"verified_seconds"`          // since it was last verified or connected
	Expires   Seconds `json:"expires_seconds,omitempty"` // until its lifetime ends
	Doubted   bool    `json:"doubted,omitempty"`         // it must be verified before it is lent
	Held      Seconds `json:"held_seconds,omitempty"`
	Leaked    bool    `json:"leaked,omitempty"`    // held longer than pool_leak_threshold
	Stack     string  `json:"stack,omitempty"`     // who took it
	Statement string  `json:"statement,omitempty"` // the latest, literals masked, 2,000 bytes of it
}

// Sample is the state of a pool at one moment of its history. Counters count
// since the pool was made.
type Sample struct {
	At            time.Time `json:"at"`
	Total         int       `json:"total"`
	Idle          int       `json:"idle"`
	InUse         int       `json:"in_use"`
	Waiting       int       `json:"waiting"`
	Acquires      uint64    `json:"acquires"`
	Waits         uint64    `json:"waits"`
	WaitTime      Seconds   `json:"wait_time_seconds"`
	Timeouts      uint64    `json:"timeouts"`
	Connects      uint64    `json:"connects"`
	ConnectErrors uint64    `json:"connect_errors"`
}

// Event is something that happened; Kind is a pool.EventKind's name.
type Event struct {
	At        time.Time `json:"at"`
	Kind      string    `json:"kind"`
	Conn      uint64    `json:"conn,omitempty"`
	Took      Seconds   `json:"took_seconds,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	Error     string    `json:"error,omitempty"`
	Count     int       `json:"count,omitempty"`
	Stack     string    `json:"stack,omitempty"`
	Statement string    `json:"statement,omitempty"`
}

// Setting is one setting as a DSN would write it, with secrets masked.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Note  string `json:"note,omitempty"` // what the value means where that is not plain
}

// Seconds is a duration that JSON has as a decimal number of seconds, exactly.
type Seconds time.Duration

// Duration returns s as a time.Duration.
func (s Seconds) Duration() time.Duration { return time.Duration(s) }

// MarshalJSON writes s as a number such as 0.00125.
func (s Seconds) MarshalJSON() ([]byte, error) {
	sign, n := "", uint64(s)
	if s < 0 {
		sign, n = "-", -n
	}
	text := fmt.Sprintf("%s%d.%09d", sign, n/1e9, n%1e9)
	return []byte(strings.TrimSuffix(strings.TrimRight(text, "0"), ".")), nil
}

// UnmarshalJSON reads a number.
func (s *Seconds) UnmarshalJSON(text []byte) error {
	if d, err := time.ParseDuration(string(text) + "s"); err == nil { // exact, unlike a float64
		*s = Seconds(d)
		return nil
	}
	f, err := strconv.ParseFloat(string(text), 64) // another program may write an exponent
	if err != nil {
		return fmt.Errorf("status: %q is no number of seconds", text)
	}
	*s = Seconds(f * float64(time.Second))
	return nil
}
