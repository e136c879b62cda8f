package txguard

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errFirst, errSecond = errors.New("first"), errors.New("second")

func refuse(cause error) error { return fmt.Errorf("refused: %w", cause) }

func TestFirstFailureCounts(t *testing.T) {
	g := New(refuse)
	if g.Note(nil); g.Refusal() != nil || g.Cause() != nil {
		t.Errorf("without a failure: %v, %v", g.Refusal(), g.Cause())
	}
	g.Note(errFirst)
	g.Note(errSecond)
	if err := g.Refusal(); g.Cause() != errFirst || err == nil || err.Error() != "refused: first" {
		t.Errorf("cause %v, refusal %v", g.Cause(), g.Refusal())
	}
	g.Recover()
	if g.Cause() != nil || g.Refusal() != nil {
		t.Errorf("recovered: cause %v, refusal %v", g.Cause(), g.Refusal())
	}
	g.Note(errSecond)
	if g.Cause() != errSecond {
		t.Errorf("a failure after that: cause %v", g.Cause())
	}
}

func TestEndedGuardIsOutOfTheWay(t *testing.T) {
	g := New(refuse)
	g.Note(errFirst)
	g.End()
	if err := g.Refusal(); err != nil {
		t.Errorf("refusal %v after the end", err)
	}
	g = New(refuse)
	g.End()
	if g.Note(errFirst); g.Cause() != nil {
		t.Errorf("cause %v of a statement after the end", g.Cause())
	}
}

func TestClaim(t *testing.T) {
	g := New(refuse)
	ctx := With(context.Background(), g)
	if g.Claimed() {
		t.Error("claimed by nobody")
	}
	if Claim(ctx) != g || !g.Claimed() {
		t.Error("not claimed")
	}
}

func TestNoGuard(t *testing.T) {
	g := Claim(context.Background())
	g.Note(errFirst)
	g.Recover()
	if g != nil || g.Refusal() != nil {
		t.Errorf("%v refuses: %v", g, g.Refusal())
	}
}
