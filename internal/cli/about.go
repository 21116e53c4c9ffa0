package cli

import (
	"cmp"
	"slices"
	"strings"

	"github.com/signgate/signgate/internal/attest"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
)

// place finds the subjects of each document. Two documents that say the same are
// one, about the subjects of both.
func (r *run) place() ([]attesting, error) {
	var out []attesting
	for _, d := range r.documents {
		at, err := r.about(d)
		if err != nil {
			return nil, err
		}
		essence := attest.Essence(d.Type, d.Body)
		same := slices.IndexFunc(out, func(a attesting) bool { return a.essence == essence })
		switch {
		case same >= 0:
			a := &out[same]
			a.at = append(a.at, at...)
			slices.Sort(a.at)
			a.at, a.Digests, a.beside = slices.Compact(a.at), append(a.Digests, d.Digests...), append(a.beside, d.beside...)
		case len(at) > 0:
			out = append(out, attesting{document: d, at: at, essence: essence})
		}
	}
	return out, nil
}

// about returns the subjects that a document is about: the manifests whose digests
// it names, with the indexes above them; and what is below an index that it
// names, unless it names some of that as well. One that names none is about all.
// A document about something else is refused ("subject_other").
func (r *run) about(d document) ([]int, error) {
	if len(d.Digests) == 0 {
		return r.unnamed(d)
	}
	named, failed := r.named(d.Digests), false
	var out []int
	for i, s := range r.report.Subjects {
		if s.Failed() {
			failed = true
		} else if named[s.Digest] {
			out = append(out, i)
		}
	}
	switch {
	case len(out) == 0 && !failed:
		return nil, fault.Refusedf("subject_other", "make it for this image, by its digest",
			"%s is about %s, which is none of the images of this run", d.source, strings.Join(d.Digests, ", "))
	case d.scan && !r.AllowUnnamed && r.vague(d, out):
		return nil, fault.Configf("scan_unnamed", "scan each platform by its own digest, or set allow-unnamed: true when the scan was of all of them",
			"%s names an index with %d platforms and not the one that was looked at", d.source, r.platforms(out))
	}
	return out, nil
}

// named returns the digests of the subjects that the digests stand for.
func (r *run) named(digests []string) map[string]bool {
	parents := r.parents()
	out, above := map[string]bool{}, map[string]bool{}
	for _, digest := range digests {
		out[digest] = true
		climb(parents, digest, func(index string) { above[index], out[index] = true, true })
	}
	for _, s := range r.report.Subjects {
		climb(parents, s.Digest, func(index string) {
			if slices.Contains(digests, index) && !above[index] {
				out[s.Digest] = true
			}
		})
	}
	return out
}

// parents returns the indexes of this run that list each manifest.
func (r *run) parents() map[string][]string {
	out := map[string][]string{}
	for _, s := range r.report.Subjects {
		if s.Index != "" && !slices.Contains(out[s.Digest], s.Index) {
			out[s.Digest] = append(out[s.Digest], s.Index)
		}
	}
	return out
}

// climb calls f for each index above a manifest. No index can be above itself: it
// would have to hold its own digest.
func climb(parents map[string][]string, digest string, f func(index string)) {
	for _, index := range parents[digest] {
		f(index)
		climb(parents, index, f)
	}
}

// vague reports whether a document names an index of several platforms and none of
// those.
func (r *run) vague(d document, at []int) bool {
	return r.platforms(at) > 1 && !slices.ContainsFunc(at, func(i int) bool {
		return r.isPlatform(i) && slices.Contains(d.Digests, r.report.Subjects[i].Digest)
	})
}

// isPlatform reports whether a subject is no index.
func (r *run) isPlatform(i int) bool { return !image.IsIndex(r.report.Subjects[i].MediaType) }

// platforms counts the manifests among subjects that are no indexes.
func (r *run) platforms(at []int) int {
	distinct := map[string]bool{}
	for _, i := range at {
		if r.isPlatform(i) {
			distinct[r.report.Subjects[i].Digest] = true
		}
	}
	return len(distinct)
}

// unnamed returns all subjects for a document that does not name any. Of several
// images it could be any, also of one that has failed.
func (r *run) unnamed(d document) (all []int, err error) {
	images := map[string]bool{}
	for i, s := range r.report.Subjects {
		if s.Index == "" {
			images[cmp.Or(s.Digest, s.Repository)] = true
		}
		if !s.Failed() {
			all = append(all, i)
		}
	}
	if len(images) > 1 && d.Type != attest.Provenance {
		return nil, fault.Configf("subject_ambiguous", "attest it in a step of its own, with that image alone", "%s does not name a digest, and there are %d images", d.source, len(images))
	}
	return all, nil
}
