package query

import (
	"fmt"
	"strings"
	"time"
)

// tooMany refuses more arguments than a text can have placeholders, in any
// database's notation: each begins with one of ?, $, : and @, and a number after that
// may stand for as many. So nothing is refused that a driver could use: those in
// literals are counted, too. A single word may be the name of a procedure.
func tooMany(text string, args []any) error {
	if len(args) == 0 || !plain(args) || len(strings.Fields(text)) < 2 {
		return nil
	}
	if most := mostPlaceholders(text); len(args) > most {
		return fmt.Errorf("%d arguments, and at most %d placeholders in the text", len(args), most)
	}
	return nil
}

// plain tells whether all arguments are values: drivers have options among theirs.
func plain(args []any) bool {
	for _, arg := range args {
		switch arg.(type) {
		case nil, bool, string, []byte, time.Time, float32, float64,
			int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64:
		default:
			return false
		}
	}
	return true
}

// mostPlaceholders is how many placeholders there can be at most: of the numbered ones
// as many as the highest number says, for each notation; and each of the others.
func mostPlaceholders(text string) int {
	most := 0
	highest := map[byte]int{}
	for i := 0; i < len(text); i++ {
		kind := text[i]
		if strings.IndexByte("?$:@", kind) < 0 {
			continue
		}
		number, rest := leadingNumber(text[i+1:])
		if number == 0 || rest != "" && isWord(rest[0]) { // $1a is a name
			most++
		} else {
			highest[kind] = max(highest[kind], number)
		}
	}
	for _, number := range highest {
		most += number
	}
	return most
}

// leadingNumber reads a number without zeros before it; 0 if there is none.
func leadingNumber(text string) (number int, rest string) {
	end := 0
	for end < len(text) && '0' <= text[end] && text[end] <= '9' {
		if number < 1<<16 { // more arguments than any database takes
			number = 10*number + int(text[end]-'0')
		}
		end++
	}
	if end > 0 && text[0] == '0' {
		return 0, text
	}
	return number, text[end:]
}

func isWord(b byte) bool {
	return b == '_' || 'a' <= b|0x20 && b|0x20 <= 'z' || b >= 0x80
}
