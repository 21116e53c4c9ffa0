package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// floor is the longest chain of requests of which each needs the answer of the
// one before. No program that does this work can be quicker than their delays;
// what can be asked at once counts once.
//
// The public key is read from the key service beside the requests that come
// before the first signature. So it counts only where it takes longer than
// those.
type floor struct {
	before []string      // requests of the registry before the first Sign, or all
	key    bool          // the key service is asked for the public key
	sign   bool          // and for a signature
	after  []string      // requests of the registry after Sign
	settle time.Duration // waited for on purpose
}

// time is what the chain takes when nothing but the delays takes time.
func (f floor) time(w where) time.Duration {
	before, after := time.Duration(len(f.before))*w.registry, time.Duration(len(f.after))*w.registry
	if f.key {
		before = max(before, w.kms)
	}
	if f.sign {
		after += w.kms
	}
	return before + after + f.settle
}

func (f floor) String() string {
	text, chain := fmt.Sprintf("%d registry", len(f.before)+len(f.after)), slices.Clone(f.before)
	if f.sign {
		text += " + 1 Sign"
		chain = append(chain, "Sign")
	}
	if f.settle > 0 {
		text += fmt.Sprintf(" + %s to settle", seconds(f.settle))
	}
	return text + ": " + strings.Join(append(chain, f.after...), " → ")
}

// floors are the chains of all lines.
type floors struct {
	signOne, signIndex         floor
	twoPartOne, twoPartIndex   floor
	fallbackOne, fallbackIndex floor
	again                      floor
	verifyOne, verifyOneOfMany floor
}

func newFloors() floors {
	// What is there already has to be known before anything is signed.
	// The digest is given, so its lists are read at once with the subject; the
	// lists of platforms wait for the index that names them.
	one := []string{"401", "token", "subject and lists"}
	index := []string{"401", "token", "index", "lists"}
	// Payloads are signed at once. The manifests name the blobs, and are listed
	// when they are there.
	written := []string{"blobs", "manifests", "lists"}
	// Without single POST an upload is a POST, and a PUT to where that points.
	twoPart := []string{"POST", "PUT", "manifests", "lists"}
	// The fallback index names manifests that have to be there.
	fallback := []string{"blobs", "manifests", "fallback index", "lists"}
	return floors{
		// A hundred images in as many repositories are a hundred of these at once.
		signOne:      floor{before: one, key: true, sign: true, after: written},
		signIndex:    floor{before: index, key: true, sign: true, after: written},
		twoPartOne:   floor{before: one, key: true, sign: true, after: twoPart},
		twoPartIndex: floor{before: index, key: true, sign: true, after: twoPart},
		// Nobody asks for a token.
		fallbackOne:   floor{before: one[2:], key: true, sign: true, after: fallback},
		fallbackIndex: floor{before: index[2:], key: true, sign: true, after: fallback},
		// The bundle is read and verified. Nothing is signed or written, and
		// what was read decides.
		again: floor{before: append(slices.Clone(one), "bundle manifest", "bundle"), key: true},
		// The manifest at the signature tag names the payload that decides.
		verifyOne: floor{before: []string{"401", "token", "subject and signature tag", "payload"}},
		// Only bundles are there. All are read at once.
		verifyOneOfMany: floor{before: append(slices.Clone(one), "bundle manifests", "bundles")},
	}
}
