package status

import (
	"path"
	"regexp"
	"strings"
)

// between are the packages that stand between an application and its connection:
// a lease's holder is the first function that belongs to none of them.
var between = []string{
	"runtime", "runtime/debug", "database/sql",
	"github.com/nimue-go/nimue", "github.com/nimue-go/nimue/pool", "github.com/nimue-go/nimue/query", "github.com/nimue-go/nimue/tx",
}

// A frame is two lines, as in a goroutine's trace, or one: a function, with or
// without its arguments, and behind it the file and line.
var (
	frameFile = regexp.MustCompile(`([^\s/\\]+\.(?:go|s):\d+)`)
	arguments = regexp.MustCompile(`\([^()]*\)$`)
)

// holder finds the function that took a lease, and where it is, in the lease's
// stack. Both are empty where there is no stack.
func holder(stack string) (function, place string) {
	for text := range strings.Lines(stack) {
		indented := strings.HasPrefix(text, "\t") || strings.HasPrefix(text, " ")
		text = strings.TrimSpace(text)
		if indented && function != "" {
			return path.Base(function), frameFile.FindString(text)
		}
		name, at := text, frameFile.FindString(text)
		if at != "" {
			name, _, _ = strings.Cut(text, " ")
		}
		if name == "" || indented || strings.HasPrefix(text, "goroutine ") || strings.HasPrefix(text, "created by ") || isBetween(name) {
			continue
		}
		function = withoutArguments(name)
		if at != "" {
			return path.Base(function), at
		}
	}
	if function != "" {
		function = path.Base(function)
	}
	return function, ""
}

// isBetween tells from a function's full name.
func isBetween(function string) bool {
	folder, name := path.Split(function)
	pkg, _, _ := strings.Cut(name, ".")
	for _, p := range between {
		if folder+pkg == p {
			return true
		}
	}
	return false
}

// withoutArguments cuts the (0x1, 0x2) of a goroutine's trace off, and not the
// (*T) of a method.
func withoutArguments(function string) string {
	if strings.HasSuffix(function, ")") {
		return arguments.ReplaceAllString(function, "")
	}
	return function
}
