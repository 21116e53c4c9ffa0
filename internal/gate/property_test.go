package gate_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/gate"
)

var seed = flag.Uint64("seed", 0, "of the property tests, when one world is to be seen again")

const worlds = 250

// eachWorld makes worlds, and says the seed of one that fails.
func eachWorld(t *testing.T, f func(t *testing.T, w *world)) {
	first, last := uint64(1), uint64(worlds)
	if *seed != 0 {
		first, last = *seed, *seed
	}
	outcomes := map[fault.Outcome]int{}
	for n := first; n <= last && !t.Failed(); n++ {
		w := newWorld(t, rand.New(rand.NewPCG(n, 1)))
		outcomes[w.decide(t, w.items).Outcome()]++
		f(t, w)
		if t.Failed() {
			t.Logf("again with: go test ./internal/gate -run '^%s$' -args -seed %d\n%s\n%s", t.Name(), n, w.yaml(), w.describe())
		}
	}
	if *seed == 0 && !t.Failed() && (outcomes[fault.Passed] < worlds/20 || outcomes[fault.Refused] < worlds/20) {
		t.Errorf("the worlds are one-sided: %v", outcomes)
	}
}

// TestModel: the gate decides as a plain reading of the rules does.
func TestModel(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		if got, want := w.decide(t, w.items), w.expected(); got.Outcome() != want {
			t.Errorf("%v, want %v: %+v", got.Outcome(), want, got.Findings)
		}
	})
}

// TestJunk: what is no valid signature, wherever it stands and however much of it
// there is, decides nothing: it does not let an image pass, and keeps none out.
func TestJunk(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		before := w.decide(t, w.items)
		more := slices.Clone(w.items)
		for range 1 + w.rand.IntN(4) {
			more = slices.Insert(more, w.rand.IntN(len(more)+1), w.junk(t))
		}
		if after := w.decide(t, more); after.Outcome() != before.Outcome() {
			t.Errorf("%v became %v: %+v", before.Outcome(), after.Outcome(), after.Findings)
		}
	})
}

// TestRemoval: fewer signatures, and fewer attestations of which any will do,
// never let an image pass that did not.
func TestRemoval(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		before := w.decide(t, w.items).Outcome()
		for i, it := range w.items {
			if it.err != nil || it.attests != "" && w.needsAll(it.attests) {
				continue
			}
			fewer := slices.Delete(slices.Clone(w.items), i, i+1)
			if after := w.decide(t, fewer); before != fault.Passed && after.Outcome() == fault.Passed {
				t.Errorf("%v passes without %s: %+v", before, it.says, after.Findings)
			}
		}
	})
}

// TestOrder: the names of keys and the order of everything change neither the
// outcome nor a code.
func TestOrder(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		before := codes(w.decide(t, w.items))
		items := slices.Clone(w.items)
		w.rand.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
		other := w.shuffled()
		if after := codes(other.decide(t, items)); !slices.Equal(before, after) {
			t.Errorf("%v became %v with\n%s", before, after, other.yaml())
		}
	})
}

func codes(v gate.Verdict) (out []string) {
	for _, f := range v.Findings {
		out = append(out, fmt.Sprint(f.Outcome, " ", f.Code, " ", f.Tag))
	}
	slices.Sort(out)
	return out
}

// TestUnreadable: a store that cannot be read lets nothing pass, and leaves what
// is refused undecided.
func TestUnreadable(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		before := w.decide(t, w.items).Outcome()
		at := w.rand.IntN(len(w.items) + 1)
		after := w.decide(t, slices.Insert(slices.Clone(w.items), at, unreadable())).Outcome()
		switch {
		case before == fault.Passed && after == fault.Refused, before != fault.Passed && after != fault.Undecided:
			t.Errorf("%v became %v", before, after)
		}
	})
}

// TestFloor: an image that has passed passes again with the sequence numbers of
// its verdict as the floor.
func TestFloor(t *testing.T) {
	eachWorld(t, func(t *testing.T, w *world) {
		first := w.decide(t, w.items)
		if first.Outcome() != fault.Passed {
			return
		}
		w.floor = first.Sequence
		if again := w.decide(t, w.items); again.Outcome() != fault.Passed {
			t.Errorf("with the floors %v: %+v", first.Sequence, again.Findings)
		}
	})
}

func (w *world) describe() string {
	var out []string
	for _, it := range w.items {
		out = append(out, it.says)
	}
	return strings.Join(out, "\n")
}
