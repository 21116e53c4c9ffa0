package cli

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// progress shows how far a long step is: on a terminal in one line that is
// written over, in a log with a line for each subject that is done.
type progress struct {
	terminal io.Writer // nil for none
	log      io.Writer

	mu      sync.Mutex
	what    string // owned by mu, as all below
	done    int
	total   int
	started time.Time
	shown   bool
}

// newProgress returns a progress that writes to stderr when that is a
// terminal, and to log otherwise.
func newProgress(stderr, log io.Writer) *progress {
	f, ok := stderr.(*os.File)
	if !ok {
		return &progress{log: log}
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return &progress{log: log}
	}
	return &progress{terminal: f}
}

// How long a step may take before it is shown.
const (
	patience    = time.Second     // on a terminal
	logPatience = 5 * time.Second // in a log
)

// begin begins a step of total parts; the result ends it.
func (p *progress) begin(what string, total int) (end func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.what, p.done, p.total, p.started = what, 0, total, time.Now()
	return p.end
}

// step counts the part name, which is done.
func (p *progress) step(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	switch took := time.Since(p.started); {
	case p.terminal != nil && took >= patience:
		p.shown = true
		fmt.Fprintf(p.terminal, "\r\x1b[K%s: %d of %d", p.what, p.done, p.total)
	case p.terminal == nil && took >= logPatience:
		fmt.Fprintf(p.log, "%s: %d of %d: %s\n", p.what, p.done, p.total, name)
	}
}

func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		fmt.Fprint(p.terminal, "\r\x1b[K")
	}
	p.shown = false
}
