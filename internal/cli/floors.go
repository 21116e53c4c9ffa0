package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/gate"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/report"
)

// accept notes the sequence numbers of a verdict that has passed. What is below
// an index has none of its own: the index names it by its digest, and its
// signature may be older.
func (r *run) accept(s image.Subject, v gate.Verdict) {
	if v.Outcome() != fault.Passed || s.Index != "" {
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

// parseFloors reads a rollback state strictly: an entry that no image would ever
// be looked up by is a mistake, because the image that was meant has no floor.
func parseFloors(path string, text []byte) (map[string]int64, error) {
	var out map[string]int64
	err := jsonv2.Unmarshal(text, &out)
	if err == nil && out == nil {
		err = errors.New("it is no object")
	}
	for name, n := range out {
		img, bad := image.Parse(name)
		switch {
		case bad != nil || len(img.Tags) != 1 || img.Digest != "" || img.Repository+":"+img.Tags[0] != name:
			err = fmt.Errorf("%q is not the full name of a repository with a tag", name)
		case n < 0 || n > envelope.MaxSequence:
			err = fmt.Errorf("%d is no sequence number", n)
		}
	}
	if err != nil {
		return nil, fault.Configf("rollback_state_invalid", `write a JSON object such as {"ghcr.io/acme/app:1.4": 41}`, "the rollback state %s cannot be used: %w", path, err)
	}
	return out, nil
}

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
		if err != nil || r.anyFailed(s.Repository) || s.Spared || s.Index != "" || !rule.Bind.Rollback {
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

// anyFailed reports whether anything of the repository has failed: an index is not
// accepted when one of its platforms is not.
func (r *run) anyFailed(repository string) bool {
	return slices.ContainsFunc(r.report.Subjects, func(s report.Subject) bool { return s.Repository == repository && (s.Failed() || s.Spared) })
}
