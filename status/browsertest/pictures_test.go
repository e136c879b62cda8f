package browsertest

import (
	"bytes"
	"context"
	"database/sql"
	"flag"
	"image"
	"image/color"
	"image/png"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

var (
	picturesTo = flag.String("screenshots", "", "keep the pictures of TestScreenshots in this directory")
	fillFor    = flag.Duration("fill", 0, "how long their load runs before, so that the plots have something to show")
)

// biggestPicture is what one may add to the repository.
const biggestPicture = 200_000

// shop is a load whose stacks look like a program's.
type shop struct{ db *sql.DB }

func (s *shop) browse(ctx context.Context) {
	rows, err := s.db.QueryContext(ctx, `SELECT item_no, name FROM items WHERE stock > 100 ORDER BY name LIMIT 20`)
	if err != nil {
		return
	}
	defer rows.Close()
	for rows.Next() {
		rest(ctx, 2*time.Millisecond)
	}
}

func (s *shop) checkout(ctx context.Context) {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, `UPDATE items SET stock = stock - 1 WHERE item_no = $1`, 1+rand.N(200)); err != nil {
		return
	}
	rest(ctx, 25*time.Millisecond)
	_ = tx.Commit()
}

// monthlyReport is what went wrong: it keeps its connection.
func (s *shop) monthlyReport(ctx context.Context) *sql.Conn {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return nil
	}
	var n int
	_ = conn.QueryRowContext(ctx, `SELECT count(*) FROM items a, items b WHERE a.name < b.name AND a.stock <> 42`).Scan(&n)
	return conn
}

func rest(ctx context.Context, most time.Duration) {
	select {
	case <-time.After(rand.N(most)):
	case <-ctx.Done():
	}
}

// customers come and go until the test is over: few at first, then more and more
// than the pool has connections for.
func (s *shop) customers(t *testing.T, workers int, pause func(i int) time.Duration) {
	ctx, cancel := context.WithCancel(context.Background())
	var coming sync.WaitGroup
	for i := range workers {
		coming.Go(func() {
			for ctx.Err() == nil {
				s.browse(ctx)
				s.checkout(ctx)
				rest(ctx, pause(i))
			}
		})
	}
	t.Cleanup(func() {
		cancel()
		coming.Wait()
	})
}

func TestScreenshots(t *testing.T) {
	s := onPostgres(t, "pool_max_conns=12&pool_min_idle_conns=2&pool_leak_threshold=1s&pool_acquire_timeout=2s&pool_max_conn_lifetime=2m")
	s.exec(`INSERT INTO items SELECT i, 'item ' || i, 1000000 FROM generate_series(1, 200) i ON CONFLICT DO NOTHING`)
	began := time.Now()
	shop := &shop{s.db}
	shop.customers(t, 8, func(int) time.Duration { return 60 * time.Millisecond })
	time.Sleep(*fillFor * 8 / 10)
	b := open(t, s.page)
	b.size(1240, 1000)
	b.scheme("dark")
	b.picture(s.page, "status-dark.png")

	shop.customers(t, 30, func(i int) time.Duration { return time.Duration(10+i) * time.Millisecond })
	for range 2 {
		conn := shop.monthlyReport(context.Background())
		if conn == nil {
			t.Fatal("there is no connection for the report")
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	s.waitUntil("both leaks to be found", func() bool { return s.pool.Stats().Leaks >= 2 })
	time.Sleep(*fillFor - time.Since(began))
	b.scheme("light")
	b.picture(s.page, "status.png")
	b.size(400, 1000)
	b.picture(s.page, "status-narrow.png")
}

// picture takes one of the window, after the page has renewed itself.
func (b *browser) picture(page, name string) {
	b.t.Helper()
	b.visit(page)
	began := b.text(`document.getElementById("live").textContent`)
	b.until("the page to renew itself", `document.getElementById("live").textContent !== "`+began+`" && document.querySelector(".holders")`)
	raw, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	full, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		b.t.Fatal(err)
	}
	var small bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&small, fewColours(full)); err != nil {
		b.t.Fatal(err)
	}
	if small.Len() > biggestPicture {
		b.t.Errorf("%s has %d bytes, more than %d", name, small.Len(), biggestPicture)
	}
	if *picturesTo == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(*picturesTo, name), small.Bytes(), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// fewColours draws a picture in its 256 commonest colours, which is a third of the
// bytes: what is lost are shades at the edges of letters.
func fewColours(full image.Image) image.Image {
	counts := map[color.RGBA]int{}
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(full.At(x, y)).(color.RGBA) }
	bounds := full.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			counts[at(x, y)]++
		}
	}
	commonest := slices.SortedFunc(maps.Keys(counts), func(a, b color.RGBA) int { return counts[b] - counts[a] })
	var palette color.Palette
	for _, c := range commonest[:min(len(commonest), 256)] {
		palette = append(palette, c)
	}
	few := image.NewPaletted(bounds, palette)
	index := map[color.RGBA]uint8{}
	for _, c := range commonest {
		index[c] = uint8(palette.Index(c))
	}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			few.SetColorIndex(x, y, index[at(x, y)])
		}
	}
	return few
}
