package cli

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/gate"
	"github.com/signgate/signgate/internal/image"
)

// accept notes the sequence numbers of a verdict that has passed.
func (r *run) accept(s image.Subject, v gate.Verdict) {
	if v.Outcome() != fault.Passed {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for tag, n := range v.Sequence {
		r.accepted[floorName(s, tag)] = n
	}
}

func (r *run) sequence(s image.Subject, tag string) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.accepted[floorName(s, tag)]
}

func floorName(s image.Subject, tag string) string { return image.Canonical(s.Repository) + ":" + tag }

// saveFloors writes what was accepted into the rollback state, when it is more
// than before.
func (r *run) saveFloors() error {
	if r.floors.path == "" || r.policy == nil {
		return nil
	}
	next := maps.Clone(r.floors.before)
	for i := range r.report.Subjects {
		s := &r.report.Subjects[i]
		rule, err := r.policy.RuleFor(s.Repository)
		if err != nil || s.Failed() || s.Spared || s.Index != "" || !rule.Bind.Rollback {
			continue
		}
		for _, tag := range append(s.Promoted, s.Tags...) {
			next[floorName(s.Subject, tag)] = max(next[floorName(s.Subject, tag)], r.sequence(s.Subject, tag))
		}
	}
	if maps.Equal(next, r.floors.before) {
		return nil
	}
	text, err := json.MarshalIndent(next, "", "  ")
	if err == nil {
		err = replaceFile(r.floors.path, append(text, '\n'))
	}
	if err != nil {
		return fault.Undecidedf("rollback_state_invalid", "make the file writable for this step", "the rollback state %s cannot be written: %w", r.floors.path, err)
	}
	r.runner.Chown(r.floors.path)
	return nil
}

// replaceFile writes a file in one step.
func replaceFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".state-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
