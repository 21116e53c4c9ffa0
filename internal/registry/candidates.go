package registry

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/signgate/signgate/internal/envelope"
	"github.com/signgate/signgate/internal/envelope/bundle"
	"github.com/signgate/signgate/internal/envelope/dsse"
	"github.com/signgate/signgate/internal/envelope/simplesigning"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
)

// MaxCandidates is how many envelopes are fetched from one store: those that
// hint at a wanted key first, and of those the newest. What is beyond is
// unknown.
const MaxCandidates = 64

// MaxAttestations is the same for attestations of the types that are wanted, of
// which an image may have one for each night. Their bytes have a bound of their
// own, that of the run.
const MaxAttestations = 512

// Candidates yields the signatures that are attached to the view's subject at
// the signature tag, in the referrers API and at the fallback tag, with the
// attestations that are wanted, also at the attestation tag, and an
// error for each store (StoreError) and each entry that could not be read. It
// reads on only while the caller asks for more. A store that the registry says
// is absent yields nothing, and an entry that two stores have comes once.
// Before it ends it asks the referrers API also where the host said for another
// image that it has none.
func (v *View) Candidates(ctx context.Context, _ image.Subject, want envelope.Want) iter.Seq2[envelope.Candidate, error] {
	return func(yield func(envelope.Candidate, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		seen := map[string]bool{}
		more := true
		read := func(store string, list func() ([]entry, error)) {
			if more {
				entries, err := list()
				more = v.fetch(ctx, store, unseen(entries, seen), want, yield) && (err == nil || yield(envelope.Candidate{Store: store}, &StoreError{store, v.fail(err)}))
			}
		}
		for _, store := range stores(want) {
			read(store, func() ([]entry, error) { return v.entries(ctx, store, want) })
		}
		if more && !want.Quick && v.listing(ctx).assumed {
			read(StoreReferrers, func() ([]entry, error) {
				l := v.client.askReferrers(ctx, v.subject)
				return bundleEntries(l.entries, want), l.err
			})
		}
	}
}

// fail gives an error without a code, such as the end of the run's time, one.
func (v *View) fail(err error) error {
	return v.client.fail(request{repository: v.client.store(v.subject)}, err)
}

// unseen returns the entries that are not in seen, and puts them there.
func unseen(entries []entry, seen map[string]bool) []entry {
	return slices.DeleteFunc(entries, func(e entry) bool {
		again := seen[e.key]
		seen[e.key] = true
		return again
	})
}

// stores returns the stores in the order in which they are read: one request
// less is needed for what is at the signature tag, and stores of a format that
// is not wanted come last, to explain a refusal.
func stores(want envelope.Want) []string {
	out := []string{StoreSignatureTag, StoreReferrers, StoreFallback}
	if len(want.Formats) > 0 && !slices.Contains(want.Formats, envelope.SimpleSigning) {
		out = []string{StoreReferrers, StoreFallback, StoreSignatureTag}
	}
	if len(want.Predicates) > 0 || want.Attestations {
		out = append(out, StoreAttestationTag)
	}
	return slices.DeleteFunc(out, func(store string) bool { return want.Unsigned && store == StoreSignatureTag })
}

// entry is one line of a list, before it is fetched.
type entry struct {
	descriptor
	format    envelope.Format
	key       string // what makes it the same in two lists
	manifest  string // the digest of the manifest that has it (simplesigning)
	signature string // base64 (simplesigning)
}

// entries returns what a store lists that may be a signature, newest first,
// and with an error what was read before.
func (v *View) entries(ctx context.Context, store string, want envelope.Want) ([]entry, error) {
	var list []descriptor
	var err error
	switch store {
	case StoreSignatureTag:
		return v.layers(ctx, cosignTags()[0], want)
	case StoreAttestationTag:
		list, err := v.layers(ctx, cosignTags()[1], want)
		return slices.DeleteFunc(list, func(e entry) bool {
			t := e.Annotations[dsse.PredicateTypeAnnotation]
			return e.MediaType != dsse.MediaType || t != "" && !attests(t, want)
		}), err
	case StoreReferrers:
		l := v.listing(ctx)
		list, err = l.entries, l.err
	default:
		if want.Quick && v.listing(ctx).support == supported {
			return nil, nil
		}
		list, err = v.fallback(ctx)
	}
	return bundleEntries(list, want), err
}

func bundleEntries(list []descriptor, want envelope.Want) (out []entry) {
	for _, d := range slices.Backward(list) {
		if t := d.Annotations[bundle.PredicateTypeAnnotation]; d.isBundle() && (t == "" || wanted(t, want)) {
			out = append(out, entry{descriptor: d, format: envelope.Bundle, key: d.Digest})
		}
	}
	slices.SortStableFunc(out, func(a, b entry) int { // a list has no order of its own
		return strings.Compare(b.Annotations[createdName], a.Annotations[createdName])
	})
	return out
}

// wanted reports whether envelopes of a predicate type may count. The type
// comes from an annotation, which only spares the fetch of others: what a
// statement is, it says itself.
func wanted(predicateType string, want envelope.Want) bool {
	return predicateType == envelope.SignaturePredicate && !want.Unsigned || attests(predicateType, want)
}

func attests(predicateType string, want envelope.Want) bool {
	return want.Attestations || slices.Contains(want.Predicates, predicateType)
}

// layers returns the entries at a tag. A reader who is in a hurry is about
// to write, and then merges what the tag lacks, so that counts as well.
func (v *View) layers(ctx context.Context, k cosignTag, want envelope.Want) (out []entry, err error) {
	m, digest, err := v.at(ctx, k)
	if err != nil {
		return nil, err
	}
	list := m.Layers
	if want.Quick && v.behind(ctx, k) {
		others, err := v.overwritten(ctx, k)
		if err != nil {
			return nil, err
		}
		list = append(others.layers, list...)
	}
	for _, d := range slices.Backward(list) {
		sig := d.Annotations[simplesigning.SignatureAnnotation]
		out = append(out, entry{descriptor: d, format: k.format, key: fmt.Sprint(d.Digest, d.MediaType, d.Size, sig), manifest: digest, signature: sig})
	}
	return out, nil
}

// arrange puts entries into the waves in which they are fetched: first as many
// of each wanted key as may be needed, then what else hints at one, then what
// has no hint, and last what hints at other keys, because a hint proves
// nothing.
func arrange(entries []entry, want envelope.Want) [][]entry {
	waves := make([][]entry, 4)
	count := map[string]int{}
	for _, e := range entries {
		hint := e.Annotations[envelope.KeyHint]
		wave := 3
		switch {
		case hint == "" || len(want.Keys) == 0:
			wave = 2
		case slices.Contains(want.Keys, hint):
			if count[hint]++; count[hint] <= max(want.Each, 1) {
				wave = 0
			} else {
				wave = 1
			}
		case want.Quick:
			continue
		}
		waves[wave] = append(waves[wave], e)
	}
	return waves
}

// allowance is how many entries of a store are still fetched.
type allowance struct{ signatures, attestations int }

// take returns as many of the entries as are allowed, and reports whether that
// is all of them.
func (a *allowance) take(entries []entry) (out []entry, all bool) {
	all = true
	for _, e := range entries {
		left := &a.signatures
		if e.attests() {
			left = &a.attestations
		}
		if *left == 0 {
			all = false
			continue
		}
		*left--
		out = append(out, e)
	}
	return out, all
}

// attests reports whether an entry says that it is an attestation.
func (e entry) attests() bool {
	t := e.Annotations[bundle.PredicateTypeAnnotation]
	return e.format == envelope.DSSE || t != "" && t != envelope.SignaturePredicate
}

func tooMany(s image.Subject, store string) error {
	return fault.Undecidedf("limit_exceeded", "delete entries that are not needed", "%s has more entries in its %s that may count than are read: %d signatures, %d attestations", s, store, MaxCandidates, MaxAttestations)
}
