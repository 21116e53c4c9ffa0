package gate_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/policy"
)

// item is a piece of evidence, and what is known about it.
type item struct {
	candidate envelope.Candidate
	err       error
	says      string // everything that it was made from

	key      int
	simple   bool
	claimed  bool   // it has claims
	tag      string // of the claims, and of the docker-reference
	repo     string // of both
	digest   bool   // of the image
	sequence int64
	age      time.Duration
	expired  bool
	attests  string // the predicate type of an attestation
	ok       bool   // what it says
}

var made sync.Map // candidates by what they were made from: signing takes time

// item makes a signature or an attestation by a key of the policy, good or with
// something wrong.
func (w *world) item(t testing.TB) item {
	r := w.rand
	it := item{key: r.IntN(len(w.keys)), simple: oneIn(r, 2), claimed: !oneIn(r, 6), tag: w.subject.Tags[r.IntN(len(w.subject.Tags))],
		repo: w.subject.Repository, digest: !oneIn(r, 10), sequence: int64(r.IntN(3) * 5), age: time.Hour, expired: oneIn(r, 12), ok: !oneIn(r, 3)}
	if oneIn(r, 6) {
		it.tag = "0.9"
	}
	if oneIn(r, 8) {
		it.repo = "ghcr.io/acme/other"
	}
	if oneIn(r, 4) {
		it.age = []time.Duration{-day, 2 * day, 30 * day}[r.IntN(3)]
	}
	if it.key >= 3 && oneIn(r, 2) {
		it.attests, it.simple = []string{vulns, provenance}[r.IntN(2)], false
	}
	it.says = fmt.Sprintf("%+v", it)
	c, known := made.Load(it.says)
	if !known {
		c = it.make(t, w.keys[it.key].signerKey, w.subject)
		made.Store(it.says, c)
	}
	it.candidate = c.(envelope.Candidate)
	return it
}

func (it item) make(t testing.TB, k signerKey, s image.Subject) envelope.Candidate {
	s.Repository, s.Tags = it.repo, []string{it.tag}
	if !it.digest {
		s = elsewhere(s)
	}
	at := now.Add(-it.age).Format(time.RFC3339)
	if it.attests != "" {
		return k.statement(t, fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":%q}}],"predicateType":%q,`+
			`"predicate":{"ok":%v,"metadata":{"scanFinishedOn":%q},"runDetails":{"metadata":{"finishedOn":%q}}}}`, s.Digest[7:], it.attests, it.ok, at, at))
	}
	c := k.claims(s)
	c.Sequence, c.IssuedAt = it.sequence, now.Add(-it.age)
	if it.expired {
		c.ExpiresAt = now.Add(-time.Minute)
	}
	switch {
	case !it.claimed && it.simple:
		return k.payload(t, fmt.Appendf(nil, `{"critical":{"identity":{"docker-reference":%q},"image":{"docker-manifest-digest":%q},"type":"cosign container image signature"},"optional":null}`, it.repo+":"+it.tag, s.Digest))
	case !it.claimed:
		return k.statement(t, fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":%q}}],"predicateType":%q,"predicate":{}}`, s.Digest[7:], envelope.SignaturePredicate))
	case it.simple:
		return k.simple(t, s, it.tag, c)
	}
	return k.bundle(t, s, c, nil)
}

// junk makes something that is no valid signature by a key of the policy: of a
// stranger, changed, broken, or a copy of what is there.
func (w *world) junk(t testing.TB) item {
	it := w.item(t)
	it.says = "junk of " + it.says
	c := &it.candidate
	switch w.rand.IntN(6) {
	case 0:
		c.Blob = []byte(strings.Repeat("[", w.rand.IntN(100)))
	case 1:
		*c = broken([]envelope.Candidate{*c})[0]
	case 2:
		*c = item{repo: it.repo, tag: it.tag, digest: true, claimed: true, simple: it.simple, attests: it.attests, ok: true, sequence: 99}.make(t, newKey(t, "stranger"), w.subject)
	case 3:
		c.MediaType, c.Blob = "text/plain", []byte(`{"mediaType":"x"}`)
	case 4:
		return item{err: fault.Refusedf("content_mismatch", "", "other bytes"), says: "an entry with other bytes"}
	default:
		it = w.copy(t, it)
	}
	return it
}

// copy is what is there once more, its signature malleated where it can be.
func (w *world) copy(t testing.TB, otherwise item) item {
	if len(w.items) == 0 {
		otherwise.candidate.Blob = nil
		return otherwise
	}
	it := w.items[w.rand.IntN(len(w.items))]
	if it.simple {
		it.candidate.Signature = malleate(t, it.candidate.Signature)
	}
	return it
}

// expected is a plain reading of the policy.
func (w *world) expected() fault.Outcome {
	for _, tag := range w.subject.Tags {
		for _, g := range w.groups {
			if w.count(g, func(it item) bool { return it.attests == "" && w.counts(it, tag) }) < g.min {
				return fault.Refused
			}
		}
	}
	for _, a := range w.atts {
		if !w.attested(a) {
			return fault.Refused
		}
	}
	return fault.Passed
}

// count counts the distinct keys of a group that have made what is good.
func (w *world) count(g worldGroup, good func(item) bool) int {
	distinct := map[int]bool{}
	for _, it := range w.items {
		if slices.Contains(g.keys, it.key) && w.keys[it.key].state == "" && it.digest && good(it) {
			distinct[it.key] = true
		}
	}
	return len(distinct)
}

// counts reports whether a signature counts for a tag.
func (w *world) counts(it item, tag string) bool {
	said := it.claimed || it.simple // it says a repository and a tag
	switch {
	case said && (it.repo != w.subject.Repository || it.tag != tag):
		return false
	case !said && (w.repo || w.tag), it.claimed && it.expired:
		return false
	case w.deny && (!it.claimed || it.sequence == 0 || it.sequence < w.floor[tag]):
		return false
	}
	return !w.maxAge || it.claimed && it.age >= 0 && it.age <= day
}

// attested reports whether an attestation is met.
func (w *world) attested(a worldAtt) bool {
	good := func(it item) bool { return (!a.where || it.ok) && (!a.aged || it.age >= 0 && it.age <= 7*day) }
	mine := slices.DeleteFunc(slices.Clone(w.items), func(it item) bool {
		return it.attests != a.kind || !it.digest || !slices.Contains(a.keys, it.key) || w.keys[it.key].state != ""
	})
	if a.which == policy.Newest && len(mine) > 0 {
		newest := slices.MinFunc(mine, func(x, y item) int { return int(x.age - y.age) }).age
		mine = slices.DeleteFunc(mine, func(it item) bool { return it.age != newest })
	}
	if a.which != policy.Any && slices.ContainsFunc(mine, func(it item) bool { return !good(it) }) {
		return false
	}
	keys := map[int]bool{}
	for _, it := range mine {
		if good(it) {
			keys[it.key] = true
		}
	}
	return len(keys) >= a.min
}

// needsAll reports whether a requirement depends on all attestations of a type.
func (w *world) needsAll(kind string) bool {
	return slices.ContainsFunc(w.atts, func(a worldAtt) bool { return a.kind == kind && a.which != policy.Any })
}
