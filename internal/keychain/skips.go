package keychain

import (
	"slices"
	"sync"
)

// skips remembers why sources were passed over.
type skips struct {
	debug func(string)

	mu     sync.Mutex
	byHost map[string][]error
}

func (s *skips) add(host string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byHost == nil {
		s.byHost = map[string][]error{}
	}
	s.byHost[host] = append(s.byHost[host], err)
	s.debug("registry " + display(host) + ": " + err.Error())
}

func (s *skips) of(host string) []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.byHost[host])
}
