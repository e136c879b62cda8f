package servers

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// tests stops the shared servers before goleak looks for goroutines.
type tests struct{ *testing.M }

func (m tests) Run() int {
	defer StopShared()
	return m.M.Run()
}

func TestMain(m *testing.M) {
	if os.Getenv(orphanEnv) != "" {
		runOrphan()
		return
	}
	goleak.VerifyTestMain(tests{m})
}

// orphanEnv makes the test binary start a server and wait to be killed.
const orphanEnv = "NIMUE_TEST_ORPHAN"

func runOrphan() {
	server, err := StartPostgres(context.Background(), PostgresOptions{})
	if err != nil {
		fmt.Println("failed", err)
		return
	}
	fmt.Println("started", server.PID(), server.dir)
	var forever [1]byte
	_, _ = os.Stdin.Read(forever[:]) // until killed, or until the parent is gone
	server.Stop()
}
