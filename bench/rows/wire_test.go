package rows

import (
	"encoding/binary"
	"slices"
	"testing"
)

// parser finds the messages in what one client sends. read is given the stream in
// pieces of any size, and returns the types of the messages that have begun.
type parser interface {
	read(data []byte) (kinds []byte)
}

// The types of PostgreSQL's messages and of MySQL's commands that are counted.
const (
	pgParse      = 'P'
	mysqlQuery   = 0x03
	mysqlPrepare = 0x16
	mysqlExecute = 0x17
	mysqlClose   = 0x19
)

// pgParser reads PostgreSQL's protocol: a start-up message, which has a length
// only, then messages with a type and a length that counts itself.
type pgParser struct {
	started bool
	header  []byte
	skip    int
}

func newPgParser() parser { return &pgParser{} }

func (p *pgParser) read(data []byte) (kinds []byte) {
	for len(data) > 0 {
		if p.skip > 0 {
			n := min(p.skip, len(data))
			p.skip -= n
			data = data[n:]
			continue
		}
		p.header = append(p.header, data[0])
		data = data[1:]
		switch {
		case !p.started && len(p.header) == 4:
			p.started = true
			p.skip = int(binary.BigEndian.Uint32(p.header)) - 4
			p.header = p.header[:0]
		case p.started && len(p.header) == 5:
			kinds = append(kinds, p.header[0])
			p.skip = int(binary.BigEndian.Uint32(p.header[1:])) - 4
			p.header = p.header[:0]
		}
	}
	return kinds
}

// mysqlParser reads MySQL's protocol: packets with a length of three bytes and a
// sequence number, which is 0 where a command begins.
type mysqlParser struct {
	header []byte
	skip   int
}

func newMySQLParser() parser { return &mysqlParser{} }

func (p *mysqlParser) read(data []byte) (kinds []byte) {
	const header = 4
	for len(data) > 0 {
		if p.skip > 0 {
			n := min(p.skip, len(data))
			p.skip -= n
			data = data[n:]
			continue
		}
		p.header = append(p.header, data[0])
		data = data[1:]
		if len(p.header) < header {
			continue
		}
		length := int(p.header[0]) | int(p.header[1])<<8 | int(p.header[2])<<16
		if length > 0 && len(p.header) == header {
			continue // one byte more: the command
		}
		if length > 0 && p.header[3] == 0 {
			kinds = append(kinds, p.header[header])
		}
		p.skip = max(length-1, 0)
		p.header = p.header[:0]
	}
	return kinds
}

// TestParsersWhateverThePieces cuts two streams at every place.
func TestParsersWhateverThePieces(t *testing.T) {
	pg := []byte{0, 0, 0, 8, 0, 3, 0, 0} // start-up, without parameters
	pg = append(pg, 'P', 0, 0, 0, 6, 'x', 0)
	pg = append(pg, 'S', 0, 0, 0, 4)
	pg = append(pg, 'X', 0, 0, 0, 4)
	my := []byte{2, 0, 0, 1, 'a', 'b'} // the answer to the greeting: no command
	my = append(my, 3, 0, 0, 0, mysqlPrepare, '?', '?')
	my = append(my, 1, 0, 0, 0, mysqlExecute)
	my = append(my, 0, 0, 0, 1) // an empty packet
	my = append(my, 5, 0, 0, 0, mysqlClose, 1, 0, 0, 0)
	for _, c := range []struct {
		stream []byte
		make   func() parser
		want   []byte
	}{
		{pg, newPgParser, []byte("PSX")},
		{my, newMySQLParser, []byte{mysqlPrepare, mysqlExecute, mysqlClose}},
	} {
		for at := range c.stream {
			p := c.make()
			got := append(p.read(c.stream[:at]), p.read(c.stream[at:])...)
			if !slices.Equal(got, c.want) {
				t.Errorf("cut at %d: %v, want %v", at, got, c.want)
			}
		}
	}
}
