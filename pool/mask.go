package pool

import "strings"

// MaskSQL returns an SQL text with its literals masked: strings become '#####',
// numbers #, comments a space. Placeholders and identifiers stay. What could be
// either is masked: text in double quotes is an identifier in the standard and a
// string in MySQL, and stays only where it looks like a name. Where a backslash
// stands before a quote, everything up to the end is masked.
func MaskSQL(sql string) string {
	var b strings.Builder
	b.Grow(len(sql))
	for i := 0; i < len(sql); {
		i += maskOne(&b, sql, i)
	}
	return b.String()
}

const maskedString = "'#####'"

// maskOne writes the token at i and returns its length.
func maskOne(b *strings.Builder, sql string, i int) int {
	rest := sql[i:]
	switch c := sql[i]; {
	case c == '\'':
		b.WriteString(maskedString)
		return quotedLen(rest, '\'')
	case c == '"', c == '`':
		n := quotedLen(rest, c)
		if n > 2 && isName(rest[1:n-1]) && rest[n-1] == c {
			b.WriteString(rest[:n])
		} else {
			b.WriteString(maskedString)
		}
		return n
	case c == '$':
		if n := dollarLen(rest); n > 0 {
			b.WriteString(maskedString)
			return n
		}
		n := 1 + wordLen(rest[1:]) // $1 is a placeholder
		b.WriteString(rest[:n])
		return n
	case strings.HasPrefix(rest, "--"), c == '#' && !strings.HasPrefix(rest, "#>") && !strings.HasPrefix(rest, "#-"):
		b.WriteByte(' ')
		return commentLen(rest)
	case strings.HasPrefix(rest, "/*"):
		b.WriteByte(' ')
		return blockLen(rest)
	case isDigit(c), c == '.' && len(rest) > 1 && isDigit(rest[1]):
		b.WriteByte('#')
		return numberLen(rest)
	case isWordByte(c), c == ':', c == '@', c == '?':
		return maskWord(b, rest)
	default:
		b.WriteByte(c)
		return 1
	}
}

// maskWord writes a keyword, identifier or placeholder. A letter right before a
// quote belongs to the literal: E'…', N'…', X'…'.
func maskWord(b *strings.Builder, rest string) int {
	n := 1 + wordLen(rest[1:])
	if n < len(rest) && rest[n] == '\'' && n <= 2 && !strings.ContainsAny(rest[:n], ":@?") {
		b.WriteString(maskedString)
		return n + quotedLen(rest[n:], '\'')
	}
	b.WriteString(rest[:n])
	return n
}

// quotedLen is the length of a literal that begins with a quote. A doubled quote
// does not end it. A quote behind a backslash ends it in the standard and does not
// in MySQL, so that nobody knows where it ends: everything counts as literal then.
func quotedLen(s string, quote byte) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			if i+1 < len(s) && s[i+1] == quote {
				return len(s)
			}
		case quote:
			if i+1 < len(s) && s[i+1] == quote {
				i++
				continue
			}
			return i + 1
		}
	}
	return len(s)
}

// dollarLen is the length of a dollar-quoted string, 0 if there is none.
func dollarLen(s string) int {
	end := strings.IndexByte(s[1:], '$')
	if end < 0 {
		return 0
	}
	tag := s[:end+2]
	if inner := tag[1 : len(tag)-1]; inner != "" && (isDigit(inner[0]) || wordLen(inner) != len(inner)) {
		return 0
	}
	if close := strings.Index(s[len(tag):], tag); close >= 0 {
		return len(tag) + close + len(tag)
	}
	return len(s)
}

// blockLen is the length of a comment that begins with /*. In PostgreSQL they nest;
// where this one could, it reaches to the last end there is.
func blockLen(s string) int {
	end := strings.Index(s[2:], "*/")
	if end < 0 {
		return len(s)
	}
	if strings.Contains(s[2:2+end], "/*") {
		end = strings.LastIndex(s[2:], "*/")
	}
	return 2 + end + 2
}

func commentLen(s string) int {
	if end := strings.IndexByte(s, '\n'); end >= 0 {
		return end
	}
	return len(s)
}

// numberLen takes in hexadecimal digits, points, exponents and separators, and what
// clings to them.
func numberLen(s string) int {
	n := 1
	for n < len(s) && (isWordByte(s[n]) || s[n] == '.' || (s[n] == '+' || s[n] == '-') && s[n-1]|0x20 == 'e') {
		n++
	}
	return n
}

func wordLen(s string) int {
	n := 0
	for n < len(s) && isWordByte(s[n]) {
		n++
	}
	return n
}

func isName(s string) bool {
	return len(s) <= 63 && !isDigit(s[0]) && wordLen(s) == len(s)
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isWordByte(c byte) bool {
	return c == '_' || c >= 0x80 || isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'z'
}
