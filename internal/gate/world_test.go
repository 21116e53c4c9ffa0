package gate_test

import (
	"context"
	"encoding/pem"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/gate"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/policy"
	"github.com/signgate/signgate/internal/signer"
)

// world is a random policy with random evidence, and what is known about both.
type world struct {
	rand    *rand.Rand
	subject image.Subject
	keys    []worldKey
	groups  []worldGroup
	atts    []worldAtt
	maxAge  bool // a day
	repo    bool // bound
	tag     bool
	deny    bool // rollback
	floor   map[string]int64
	items   []item
}

type worldKey struct {
	signerKey
	name  string
	state string // "", "revoked", "expired", "early"
}

type worldGroup struct {
	keys []int
	min  int
}

type worldAtt struct {
	worldGroup
	kind  string
	which policy.Which
	where bool // predicate.ok
	aged  bool // a week; always with newest and all
}

const (
	vulns      = "https://cosign.sigstore.dev/attestation/vuln/v1"
	provenance = "https://slsa.dev/provenance/v1"
)

func oneIn(r *rand.Rand, n int) bool { return r.IntN(n) == 0 }

func newWorld(t testing.TB, r *rand.Rand) *world {
	w := &world{rand: r, subject: subject("1.4"), maxAge: oneIn(r, 4), repo: oneIn(r, 3), tag: oneIn(r, 3), floor: map[string]int64{}}
	if oneIn(r, 3) {
		w.subject = subject("1.4", "stable")
	}
	if w.deny = w.tag && oneIn(r, 2); w.deny {
		w.floor["1.4"] = 6
	}
	for i := range 5 {
		k := worldKey{signerKey: newKey(t, fmt.Sprint("world ", i)), name: fmt.Sprint("k", i)}
		if oneIn(r, 6) {
			k.state = []string{"revoked", "expired", "early"}[r.IntN(3)]
		}
		w.keys = append(w.keys, k)
	}
	w.groups = []worldGroup{w.group([]int{0, 1, 2}), w.group([]int{3})}[:1+r.IntN(2)]
	for _, kind := range []string{vulns, provenance}[:r.IntN(3)] {
		a := worldAtt{w.group([]int{3, 4}), kind, []policy.Which{policy.Any, policy.Newest, policy.All}[r.IntN(3)], oneIn(r, 2), oneIn(r, 2)}
		a.aged = a.aged || a.which != policy.Any
		w.atts = append(w.atts, a)
	}
	for range r.IntN(9) {
		w.items = append(w.items, w.item(t))
	}
	return w
}

func (w *world) group(from []int) worldGroup {
	w.rand.Shuffle(len(from), func(i, j int) { from[i], from[j] = from[j], from[i] })
	n := 1 + w.rand.IntN(len(from))
	return worldGroup{from[:n], 1 + w.rand.IntN(n)}
}

// shuffled is the same policy with other names in another order.
func (w *world) shuffled() *world {
	o := *w
	o.keys, o.groups, o.atts = slices.Clone(w.keys), slices.Clone(w.groups), slices.Clone(w.atts)
	for i := range o.keys {
		o.keys[i].name = fmt.Sprintf("other-%d", 9-i)
	}
	mix := func(list []int) []int {
		list = slices.Clone(list)
		w.rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		return list
	}
	for i := range o.groups {
		o.groups[i].keys = mix(o.groups[i].keys)
	}
	for i := range o.atts {
		o.atts[i].keys = mix(o.atts[i].keys)
	}
	slices.Reverse(o.groups)
	slices.Reverse(o.atts)
	return &o
}

// yaml is the policy as a user writes it.
func (w *world) yaml() string {
	var b strings.Builder
	b.WriteString("version: 1\nkeys:\n")
	for _, k := range w.keys {
		der, err := signer.MarshalPublicKey(k.Public)
		if err != nil {
			panic(err)
		}
		text := strings.ReplaceAll(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), "\n", `\n`)
		limit := map[string]string{"": "", "revoked": ", revoked: {reason: stolen}", "expired": ", notAfter: 2026-01-01", "early": ", notBefore: 2027-01-01"}[k.state]
		fmt.Fprintf(&b, "  %s: {pem: \"%s\"%s}\n", k.name, text, limit)
	}
	b.WriteString("rules:\n  - match: [ghcr.io/acme/**]\n    require:\n")
	for _, g := range w.groups {
		fmt.Fprintf(&b, "      - {keys: [%s], min: %d}\n", w.names(g), g.min)
	}
	if w.maxAge {
		b.WriteString("    maxAge: {signature: 1d}\n")
	}
	if bind := w.bind(); bind != "" {
		fmt.Fprintf(&b, "    bind: {%s}\n", bind)
	}
	for i, a := range w.atts {
		if i == 0 {
			b.WriteString("    attestations:\n")
		}
		fmt.Fprintf(&b, "      - {type: %q, by: {keys: [%s], min: %d}, which: %s%s%s}\n", a.kind, w.names(a.worldGroup), a.min, a.which,
			when(a.where, ", where: predicate.ok"), when(a.aged, ", maxAge: 7d"))
	}
	return b.String()
}

func (w *world) bind() string {
	list := []string{when(w.repo, "repository: signed"), when(w.tag, "tag: signed"), when(w.deny, "rollback: deny")}
	return strings.Join(slices.DeleteFunc(list, func(s string) bool { return s == "" }), ", ")
}

func when(b bool, text string) string {
	if b {
		return text
	}
	return ""
}

func (w *world) names(g worldGroup) string {
	var out []string
	for _, k := range g.keys {
		out = append(out, w.keys[k].name)
	}
	return strings.Join(out, ", ")
}

func (w *world) decide(t testing.TB, items []item) gate.Verdict {
	t.Helper()
	rule, err := w.load(t).For(w.subject, now)
	if err != nil {
		t.Fatal(err)
	}
	v, err := gate.Check(t.Context(), gate.Request{Subject: w.subject, Rule: rule, Now: now, Floor: maps.Clone(w.floor)}, itemSource(items))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

var loaded sync.Map // policies by their text: conditions take time to compile

func (w *world) load(t testing.TB) *policy.Policy {
	t.Helper()
	text := w.yaml()
	if p, known := loaded.Load(text); known {
		return p.(*policy.Policy)
	}
	p, err := policy.Load(policy.Source{Name: "p", Text: []byte(text), Now: now})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	loaded.Store(text, p)
	return p
}

// itemSource yields items in their order, errors among them.
type itemSource []item

func (s itemSource) Candidates(context.Context, image.Subject, envelope.Want) iter.Seq2[envelope.Candidate, error] {
	return func(yield func(envelope.Candidate, error) bool) {
		for _, it := range s {
			if !yield(it.candidate, it.err) {
				return
			}
		}
	}
}

func unreadable() item {
	return item{err: fault.Transientf("registry_unavailable", "", "503"), says: "a store that cannot be read"}
}

const day = 24 * time.Hour
