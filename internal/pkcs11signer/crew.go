//go:build linux && cgo

package pkcs11signer

// crew keeps the goroutines that call into a module for one key: their stacks
// have grown for that already, and waking one is cheaper than making it. There
// are hardly more than there have been calls at one time.
type crew struct {
	jobs chan func()
	end  chan struct{} // closed when the key is
}

func newCrew() *crew { return &crew{make(chan func()), make(chan struct{})} }

// run runs the job in a goroutine that waits for one, or in a new one.
func (c *crew) run(job func()) {
	select {
	case c.jobs <- job:
	default:
		go c.work(job)
	}
}

func (c *crew) work(job func()) {
	for {
		job()
		select {
		case job = <-c.jobs:
		case <-c.end:
			return
		}
	}
}
