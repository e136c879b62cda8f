package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/nimue-go/nimue/status"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPageOfARunningShop(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx, stop := context.WithCancel(t.Context())
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, in, "127.0.0.1:0", 12, true)
		in.CloseWithError(io.EOF)
		ended <- err
	}()
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal(<-ended)
	}
	page, found := strings.CutPrefix(lines.Text(), "the page: ")
	if !found {
		t.Fatalf("got %q", lines.Text())
	}
	report := placeSomeOrders(t, page)
	if len(report.Pools) != 1 || report.Pools[0].Name != "shop" || report.Pools[0].Conns.Max != 8 {
		t.Errorf("got %+v", report)
	}
	stop()
	if !lines.Scan() || strings.HasPrefix(lines.Text(), "0 orders") || !strings.HasSuffix(lines.Text(), " orders were placed, 0 failed") {
		t.Errorf("at the end: %q", lines.Text())
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// placeSomeOrders waits until the page tells of a thousand acquires.
func placeSomeOrders(t *testing.T, page string) (report status.Report) {
	t.Helper()
	client := &http.Client{Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		answer, err := client.Get(page + "status.json")
		if err != nil {
			t.Fatal(err)
		}
		report = status.Report{}
		err = json.NewDecoder(answer.Body).Decode(&report)
		_ = answer.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if len(report.Pools) == 1 && report.Pools[0].Counters.Acquires > 1000 {
			return report
		}
	}
	t.Fatalf("nothing happens: %+v", report)
	return report
}
