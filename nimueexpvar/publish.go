// Package nimueexpvar publishes the statistics of all pools of the process in the
// standard library's way, as the variable "nimue" of package expvar. To import it is
// enough:
//
//	import _ "github.com/nimue-go/nimue/nimueexpvar"
//
// Package expvar, and so this one, puts the handler /debug/vars on
// http.DefaultServeMux. Whoever does not want that imports neither.
//
// The value is a JSON object with a [Pool] for each pool that is not closed, by its
// name; where pools of one name live beside each other, the second is name#2, and so
// on. It is read from the pools when somebody asks. Durations are in seconds. Errors
// are texts, in which passwords are masked as everywhere in nimue.
package nimueexpvar

import (
	"expvar"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/internal/poolnames"
)

// Name is the variable's.
const Name = "nimue"

func init() { expvar.Publish(Name, expvar.Func(func() any { return Pools() })) }

// Pools returns what is published: the pools of the process as they are now, by name.
func Pools() map[string]Pool {
	pools := map[string]Pool{}
	for _, p := range poolnames.Of(nimue.Pools()) {
		pools[p.Label] = read(p.Pool)
	}
	return pools
}
