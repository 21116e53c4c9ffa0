package main

import (
	"strings"
	"time"

	"github.com/signgate/signgate/internal/registry/registrytest"
)

// hundred is the number of images of the long lines.
const hundred = 100

// lines are all lines, in the order of docs/benchmarks.md.
func (b *bench) lines() []line {
	f := newFloors()
	out := append(signLines(f), verifyLines(f)...)
	out = append(out,
		line{name: "sign one image again", where: bearer(50, 100), task: signAgain, floor: f.again, targets: []target{atMostWrites(0)}})
	out = append(out,
		line{name: "sign one image and attest 3 documents", where: bearer(0, 0), task: signAndAttest, floor: f.signOne},
		line{name: "sign one image and attest 3 documents", where: bearer(50, 100), task: signAndAttest, floor: f.signOne,
			notes: []string{"signgate writes both forms of each, and reads them back"}})
	out = append(out, twoPartLines(f)...)
	return append(out, b.fallbackLines(f)...)
}

// bearer is a registry that asks for a token and serves the referrers API. The
// delays are in milliseconds.
func bearer(registry, kms time.Duration) where {
	return where{mode: registrytest.Token, registry: registry * time.Millisecond, kms: kms * time.Millisecond}
}

// signOne is a line with one image. The name may say more.
func signOne(more string, w where, f floor, targets ...target) line {
	return line{name: "sign one image" + more, where: w, task: signing((*site).push), floor: f, targets: targets}
}

// signIndex is the same with an index.
func signIndex(more string, w where, f floor, targets ...target) line {
	return line{
		name: "sign an index of 4 platforms" + more, where: w, task: signing((*site).pushIndex), floor: f, targets: targets,
		notes: []string{"signgate signs 5 manifests; cosign signs the attestation manifest of BuildKit, too"},
	}
}

func signLines(f floors) []line {
	return []line{
		signOne("", bearer(0, 0), f.signOne, atMostRequests(14), atMostCalls(3)),
		signOne("", bearer(50, 100), f.signOne, atMostRequests(14), atMostCalls(3)),
		signIndex("", bearer(0, 0), f.signIndex, atMostRequests(55), atMostCalls(11)),
		signIndex("", bearer(50, 100), f.signIndex, atMostRequests(55), atMostCalls(11), atMostWall(700*time.Millisecond), timesFaster(8)),
		{name: "sign 100 images", where: bearer(20, 50), task: signHundred, floor: f.signOne, targets: []target{timesFaster(20)},
			once: true, notes: []string{"one run of each, none to warm up"}},
	}
}

func verifyLines(f floors) []line {
	one := line{name: "verify one image", task: verifyOne, floor: f.verifyOne, targets: []target{atMostRequests(5)}}
	quick, slow := one, one
	quick.where, slow.where = bearer(0, 0), bearer(50, 0)
	return []line{
		quick, slow,
		{name: "verify one of 11 bundles, made by signgate", where: bearer(50, 0), task: verifyOneOf(11, signgate),
			floor: f.verifyOneOfMany, targets: []target{atMostRequests(7)}},
		{name: "verify one of 11 bundles, made by cosign", where: bearer(50, 0), task: verifyOneOf(11, cosign),
			floor: f.verifyOneOfMany, targets: []target{atMostRequests(27)}},
	}
}

// twoPartLines are for registries that refuse to take a blob with one POST.
func twoPartLines(f floors) []line {
	w := bearer(50, 100)
	w.twoPart = true
	return []line{
		signOne(", no single POST", w, f.twoPartOne, atMostRequests(17), atMostCalls(3)),
		signIndex(", no single POST", w, f.twoPartIndex, atMostRequests(65), atMostCalls(11)),
	}
}

// fallbackLines are for registries without the referrers API, with and without
// the time in which signgate watches for other writers.
func (b *bench) fallbackLines(f floors) []line {
	w := where{mode: registrytest.Fallback, registry: 50 * time.Millisecond, kms: 100 * time.Millisecond}
	if !b.takes("settle") {
		out := []line{signOne(", fallback tag", w, f.fallbackOne), signIndex(", fallback tag", w, f.fallbackIndex)}
		for i := range out {
			out[i].notes = append(out[i].notes, "this signgate has no --settle")
		}
		return out
	}
	var out []line
	for _, settle := range []time.Duration{time.Second, 0} {
		f.fallbackOne.settle, f.fallbackIndex.settle = settle, settle
		flags := []string{"--settle", settle.String()}
		more := ", fallback tag, " + strings.Join(flags, " ")
		one, index := signOne(more, w, f.fallbackOne), signIndex(more, w, f.fallbackIndex)
		one.task, index.task = signing((*site).push, flags...), signing((*site).pushIndex, flags...)
		out = append(out, one, index)
	}
	return out
}
