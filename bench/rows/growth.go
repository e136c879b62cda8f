package rows

// constant is the largest exponent that counts as no growth: ten times the size
// for 1.4 times the cost, which leaves room for caches that grow too small.
const constant = 0.15

// direct is nimue's pool without database/sql above it.
var direct = Contender{Nimue, "nimue's pool", "pool.Acquire and Release, defaults but for the limits"}

// In the rows about memory the limits are what the size asks for.
var (
	sqlOfSize   = Contender{SQLTuned, "database/sql, tuned", "SetMaxOpenConns and SetMaxIdleConns at the number of connections, which is 1 where callers wait"}
	nimueOfSize = Contender{Nimue, "nimue", "MaxConns at the same number; SetMaxIdleConns too, for the handles"}
)

func growthRows() []Row {
	return append(append(growthOfLoad(), growthOfWaiters()...), growthOfMemory()...)
}

// growing is a row of the family Growth whose cost must not grow with its size.
func growing(name, axis, title, work string, column Column, sizes []int, benchtime string, contenders ...Contender) Row {
	return Row{
		Family: "Growth", Name: name, Title: title, Work: work, Axis: axis,
		Contenders: contenders, Columns: []Column{column}, Sizes: sizes, Benchtime: benchtime,
		Goals: []Goal{{Text: "does not grow", Unit: column.Unit, Contender: Nimue, Bound: constant, Exponent: true}},
	}
}

func growthOfLoad() []Row {
	hundreds := []int{1, 3, 10, 30, 100, 300, 1000}
	return []Row{
		growing("goroutines", "goroutines", "Cost by goroutines",
			"db.ExecContext on the no-op driver by n goroutines that share 16 connections",
			perOp, []int{1, 10, 100, 1000, 10000}, "300000x", sqlTuned, nimueNoop),
		growing("connections", "idle connections", "Cost by connections",
			"acquire and release, where n connections are idle",
			perOp, hundreds, "300000x", direct, Contender{NimueFIFO, "nimue's pool, FIFO", "the same, with Order: FIFO"}),
		growing("shuffled", "connections", "Cost by connections, returned in random order",
			"n connections are acquired, and released in a random order that changes every time; per connection",
			perOp, hundreds, "100000x", direct),
		growing("keeper", "idle connections", "Cost of one verification by connections",
			"n idle connections whose verifications fall due one after the other, 1,000 a second in all; the processor time of each, the keeper's round included",
			Column{"cpu-ns/op", "processor time per verification", Less}, []int{1, 10, 100, 300, 1000}, "500x", direct),
		growing("suspicion", "idle connections", "Cost of one verification, of all at once",
			"a connection dies, and the pool verifies the n others at once; the processor time of each verification",
			Column{"cpu-ns/op", "processor time per verification", Less}, []int{10, 30, 100, 300, 1000}, "5000x", direct),
		growing("pools", "pools", "Cost by pools",
			"acquire and release, on n pools in turn",
			perOp, hundreds, "300000x", direct),
	}
}

func growthOfWaiters() []Row {
	waiting := []int{1, 10, 100, 1000, 10000, 100000}
	grant := growing("grant", "callers waiting", "From release to grant",
		"a connection goes from one caller to the next, where n wait; each joins the queue again",
		perOp, waiting, "200000x", direct,
		Contender{Channel, "a Go channel", "nothing: goroutines that hand one value round, which is the runtime's own part of the cost"})
	grant.Goals[0].Text = "grows no more than what the runtime takes to wake one of n goroutines"
	grant.Goals[0].Against = Channel
	return []Row{
		growing("enter", "callers already waiting", "Entering and leaving the queue",
			"a caller joins the queue behind n others and leaves it at once, because its context has ended",
			perOp, append([]int{0}, waiting...), "100000x", direct),
		grant,
		growing("expire", "callers waiting", "Expiry of waiters",
			"n callers wait until their acquire timeout; the processor time of each answer, its goroutine's end included",
			Column{"cpu-ns/op", "processor time per caller", Less}, waiting[3:], "1x", direct),
	}
}

// growthOfMemory begins with sizes that are large beside what the runtime takes for
// stacks at once.
func growthOfMemory() []Row {
	crowds := []int{1000, 3000, 10000, 30000, 100000}
	return []Row{
		growing("memory-connections", "idle connections", "Memory per idle connection",
			"n idle connections under one *sql.DB, the inner driver's own being empty",
			Column{"B/conn", "memory per connection", Less}, []int{10, 100, 1000}, "1x", sqlOfSize, nimueOfSize),
		growing("memory-waiters", "callers waiting", "Memory per waiter, its goroutine included",
			"n goroutines that wait in db.ExecContext",
			Column{"B/waiter", "memory per waiter", Less}, crowds, "1x", sqlOfSize, nimueOfSize),
		growing("memory-waiters-alone", "callers waiting", "Memory per waiter, less that of a goroutine that waits for a channel",
			"the same, less what n goroutines take that do nothing but wait",
			Column{"B/waiter", "memory per waiter", Less}, crowds, "1x", sqlOfSize, nimueOfSize),
		growing("memory-pools", "pools", "Memory per pool",
			"n pools with one idle connection each, their goroutines' stacks included",
			Column{"B/pool", "memory per pool", Less}, []int{300, 1000, 3000, 10000}, "1x", direct),
	}
}
