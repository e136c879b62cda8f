package pool

import (
	"fmt"
	"strings"
	"time"
)

// Problem is one thing that is wrong with a [Config].
type Problem struct {
	Field string // the Config field's name
	Value any    // what it holds
	Want  string // what would be accepted
}

// ConfigError lists everything that is wrong with a [Config].
type ConfigError struct {
	Pool     string
	Problems []Problem
}

// Error names the pool and every problem on one line.
func (e *ConfigError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "nimue: %s: invalid configuration: ", e.Pool)
	for i, p := range e.Problems {
		if i > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "%s is %v, want %s", p.Field, p.Value, p.Want)
	}
	return b.String()
}

// Validate reports every value out of range and every contradiction, as a
// *ConfigError, or nil. Zero fields count as their defaults.
func (c Config) Validate() error {
	v := validator{}
	initGiven := c.InitConns != 0 // else it follows MinConns, and so do its problems
	c = c.WithDefaults()
	v.number("MaxConns", c.MaxConns, 1, MostConns, false)
	v.number("MinConns", c.MinConns, 0, MostConns, false)
	v.number("MinIdleConns", c.MinIdleConns, 0, MostConns, false)
	v.number("MaxIdleConns", c.MaxIdleConns, 0, MostConns, true)
	v.number("InitConns", c.InitConns, 0, MostConns, true)
	v.number("MaxConnecting", c.MaxConnecting, 1, MostConns, false)
	v.number("MaxConnUses", c.MaxConnUses, 0, MostUses, false)
	v.number("MaxWaiters", c.MaxWaiters, 0, MostUses, true)
	v.number("StmtCache", c.StmtCache, 0, MostConns, true)
	v.delay("MaxConnLifetime", c.MaxConnLifetime, 0, true)
	v.delay("MaxConnLifetimeJitter", c.MaxConnLifetimeJitter, 0, true)
	v.delay("MaxConnIdleTime", c.MaxConnIdleTime, 0, true)
	v.delay("AcquireTimeout", c.AcquireTimeout, 0, true)
	v.delay("OutageGrace", c.OutageGrace, 0, true)
	v.delay("ConnectTimeout", c.ConnectTimeout, time.Nanosecond, false)
	v.delay("HealthCheckPeriod", c.HealthCheckPeriod, 0, true)
	v.delay("PingTimeout", c.PingTimeout, time.Nanosecond, false)
	v.check(c.CheckOnAcquire <= CheckNever, "CheckOnAcquire", c.CheckOnAcquire, "CheckAuto, CheckAlways or CheckNever")
	v.check(c.LeaseMode <= LeaseTransaction, "LeaseMode", c.LeaseMode, "LeaseSession or LeaseTransaction")
	v.check(c.Order <= FIFO, "Order", c.Order, "LIFO or FIFO")
	_, _, validTime := clockTime(c.RecycleAt)
	v.check(c.RecycleAt == "" || validTime, "RecycleAt", fmt.Sprintf("%q", c.RecycleAt), "a time of day as HH:MM, from 00:00 to 23:59")
	v.delay("LeakThreshold", c.LeakThreshold, 0, true)
	v.delay("LeakReclaim", c.LeakReclaim, 0, true)
	v.check(c.LeakReclaim <= 0 || c.LeakReclaim >= c.LeakThreshold, "LeakReclaim", c.LeakReclaim, fmt.Sprintf("at least LeakThreshold, %v", c.LeakThreshold))
	v.check(!c.AutoPrepare || c.StmtCache > 0, "AutoPrepare", c.AutoPrepare, "false where StmtCache is None, since there is nowhere to keep the statements")
	if len(v.problems) == 0 {
		v.contradictions(c, initGiven)
	}
	if len(v.problems) == 0 {
		return nil
	}
	return &ConfigError{Pool: c.Name, Problems: v.problems}
}

type validator struct{ problems []Problem }

func (v *validator) check(ok bool, field string, value any, want string) {
	if !ok {
		v.problems = append(v.problems, Problem{field, value, want})
	}
}

func (v *validator) number(field string, n, least, most int, none bool) {
	want := fmt.Sprintf("%d to %d", least, most)
	if none {
		want += ", or None"
	}
	v.check(n >= least && n <= most || none && n == None, field, n, want)
}

func (v *validator) delay(field string, d, least time.Duration, none bool) {
	want := "a positive duration"
	if none {
		want = "0 or a positive duration, or None"
	}
	want += fmt.Sprintf(", at most %v", LongestDelay)
	v.check(d >= least && d <= LongestDelay || none && d == None, field, d, want)
}

// contradictions compares fields with each other; each is in range by itself.
func (v *validator) contradictions(c Config, initGiven bool) {
	maxIdle := max(c.MaxIdleConns, 0)
	if !initGiven {
		c.InitConns = 0
	}
	atMost := func(field string, n int, limit string, most int) {
		v.check(n <= most, field, n, fmt.Sprintf("at most %s, which is %d", limit, most))
	}
	v.check(c.MaxConnLifetime > 0 || c.MaxConnLifetimeJitter <= 0, "MaxConnLifetimeJitter", c.MaxConnLifetimeJitter, "none where MaxConnLifetime has no limit")
	atMost("MinConns", c.MinConns, "MaxConns", c.MaxConns)
	atMost("MinIdleConns", c.MinIdleConns, "MaxConns", c.MaxConns)
	atMost("InitConns", c.InitConns, "MaxConns", c.MaxConns)
	atMost("MaxIdleConns", c.MaxIdleConns, "MaxConns", c.MaxConns)
	// A floor above the idle limit would open connections only to retire them.
	if len(v.problems) == 0 {
		atMost("MinConns", c.MinConns, "MaxIdleConns", maxIdle)
		atMost("MinIdleConns", c.MinIdleConns, "MaxIdleConns", maxIdle)
		atMost("InitConns", c.InitConns, "MaxIdleConns", maxIdle)
	}
}
