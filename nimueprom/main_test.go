package nimueprom

import (
	"net/http"
	"testing"

	"go.uber.org/goleak"
)

type tests struct{ *testing.M }

func (m tests) Run() int {
	defer http.DefaultClient.CloseIdleConnections()
	return m.M.Run()
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(tests{m}) }
