package console

import (
	"testing"

	"go.uber.org/goleak"
)

// No test leaves a goroutine behind, but for the pool of a console's database,
// which lives as long as the configuration that names it.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"), goleak.IgnoreTopFunction("database/sql.(*DB).connectionCleaner"))
}
