package main

import (
	"fmt"
	"sync"
	"time"
)

// event is one request to a service, when it came in.
type event struct {
	registry bool // not the key service
	write    bool
	text     string
	at       time.Duration // after the journal was opened
}

// journal collects events.
type journal struct {
	mu     sync.Mutex // guards the fields below
	opened time.Time
	events []event
}

func (j *journal) add(e event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	e.at = time.Since(j.opened)
	j.events = append(j.events, e)
}

// turn returns the events so far and opens a new page.
func (j *journal) turn() []event {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := j.events
	j.events, j.opened = nil, time.Now()
	return out
}

// tally is what the services were asked.
type tally struct {
	events   []event
	requests int            // of the registry
	writes   int            // those of them that are no reads
	calls    map[string]int // of the key service, by operation
}

// tally returns what was asked since the last time. A call that the key service
// refused is an error: nobody has reason to make one.
func (s *site) tally() (tally, error) {
	t := tally{events: s.log.turn(), calls: map[string]int{}}
	for _, e := range t.events {
		if e.registry {
			t.requests++
		}
		if e.write {
			t.writes++
		}
	}
	log := s.kms.Requests()
	for _, r := range log[s.calls:] {
		if r.Error != "" {
			return t, fmt.Errorf("the key service refused %s: %s", r.Operation, r.Error)
		}
		t.calls[r.Operation]++
	}
	s.calls = len(log)
	return t, nil
}

// sayEvents lists what was asked, and when.
func (b *bench) sayEvents(t tool, events []event) {
	b.say("%s asked:", t)
	for _, e := range events {
		fmt.Fprintf(b.log, "%8d ms  %s\n", e.at.Milliseconds(), e.text)
	}
}
