package cli

import (
	"slices"
	"strings"

	"github.com/signgate/signgate/internal/attest"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/report"
)

// place finds the subjects of each document.
func (r *run) place() ([]attesting, error) {
	var out []attesting
	for _, d := range r.documents {
		at, err := r.about(d)
		if err != nil {
			return nil, err
		}
		if len(at) > 0 {
			out = append(out, attesting{document: d, at: at, essence: attest.Essence(d.Type, d.Body)})
		}
	}
	return out, nil
}

// about returns the subjects that a document is about: those with the digests
// that it names, the platforms of an index among them, and the index of a
// platform; all of them when it names none. A document about something else is
// refused ("subject_other").
func (r *run) about(d document) ([]int, error) {
	var all, named, indexes []int
	failed, images := false, map[string]bool{}
	byDigest := map[string]bool{}
	for _, digest := range d.Digests {
		byDigest[digest] = true
	}
	for i, s := range r.report.Subjects {
		if s.Failed() {
			failed = true
			continue
		}
		all = append(all, i)
		if s.Index == "" {
			images[s.Digest] = true
		}
		switch {
		case byDigest[s.Digest] || byDigest[s.Index]:
			named = append(named, i)
		case slices.ContainsFunc(r.report.Subjects, func(c report.Subject) bool { return c.Index == s.Digest && byDigest[c.Digest] }):
			indexes = append(indexes, i)
		}
	}
	switch {
	case len(d.Digests) == 0 && len(images) > 1 && d.Type != attest.Provenance:
		return nil, fault.Configf("subject_ambiguous", "attest it in a step of its own, with that image alone", "%s does not name a digest, and there are %d images", d.source, len(images))
	case len(d.Digests) == 0:
		return all, nil
	case len(named) == 0 && !failed:
		return nil, fault.Refusedf("subject_other", "make it for this image, by its digest",
			"%s is about %s, which is none of the images of this run", d.source, strings.Join(d.Digests, ", "))
	}
	out := append(named, indexes...)
	slices.Sort(out)
	return out, nil
}
