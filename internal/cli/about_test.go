package cli

import (
	"errors"
	"slices"
	"testing"

	"github.com/signgate/signgate/internal/attest"
	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/report"
)

// subjectsOf makes the subjects of a run: "name", or "name<index" for what an index
// lists. Names that are listed below are indexes.
func subjectsOf(list ...[2]string) *run {
	r := &run{report: newReport("attest", "test", false, "")}
	for _, s := range list {
		subject := image.Subject{Repository: "r.example/app", Digest: s[0], Index: s[1], MediaType: image.OCIManifest}
		if slices.ContainsFunc(list, func(o [2]string) bool { return o[1] == s[0] }) {
			subject.MediaType = image.OCIIndex
		}
		r.report.Subjects = append(r.report.Subjects, report.NewSubject(subject))
	}
	return r
}

// TestAbout: which manifests a document is about, by the digests that it names.
func TestAbout(t *testing.T) {
	index := [][2]string{{"index", ""}, {"amd64", "index"}, {"arm64", "index"}}
	nested := [][2]string{{"top", ""}, {"middle", "top"}, {"leaf", "middle"}, {"other", "top"}}
	shared := [][2]string{{"one", ""}, {"both", "one"}, {"two", ""}, {"both", "two"}, {"alone", "two"}}
	for _, test := range []struct {
		name     string
		subjects [][2]string
		digests  []string
		scan     bool
		want     []int
		code     string
	}{
		{"a platform and its index", index, []string{"amd64"}, false, []int{0, 1}, ""},
		{"an index", index, []string{"index"}, false, []int{0, 1, 2}, ""},
		{"an index, and a platform that it was narrowed to", index, []string{"index", "amd64"}, false, []int{0, 1}, ""},
		{"the same from a scanner", index, []string{"index", "amd64"}, true, []int{0, 1}, ""},
		{"two platforms", index, []string{"amd64", "arm64"}, true, []int{0, 1, 2}, ""},
		{"nothing", index, nil, false, []int{0, 1, 2}, ""},
		{"another image", index, []string{"elsewhere"}, false, nil, "subject_other"},
		{"a scan of an index, which looked at one platform", index, []string{"index"}, true, nil, "scan_unnamed"},
		{"a scan of an index of one", index[:2], []string{"index"}, true, []int{0, 1}, ""},
		{"the top of three", nested, []string{"top"}, false, []int{0, 1, 2, 3}, ""},
		{"the bottom of three", nested, []string{"leaf"}, false, []int{0, 1, 2}, ""},
		{"the middle of three", nested, []string{"middle"}, false, []int{0, 1, 2}, ""},
		{"a platform of two indexes", shared, []string{"both"}, false, []int{0, 1, 2, 3}, ""},
		{"an index that shares a platform", shared, []string{"one"}, false, []int{0, 1, 3}, ""},
		{"nothing, of two images", shared, nil, false, nil, "subject_ambiguous"},
	} {
		r := subjectsOf(test.subjects...)
		got, err := r.about(document{Predicate: attest.Predicate{Type: attest.SPDX, Digests: test.digests}, source: "test", scan: test.scan})
		if (err == nil) != (test.code == "") || err != nil && fault.CodeOf(err) != test.code || err == nil && !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, %v; want %v, %s", test.name, got, err, test.want, test.code)
		}
	}
}

// TestAboutFailed: an image that could not be read is still one that a document
// without a name could be about.
func TestAboutFailed(t *testing.T) {
	r := subjectsOf([2]string{"app", ""}, [2]string{"", ""})
	r.report.Subjects[1].Repository = "r.example/web"
	r.report.Subjects[1].Fail("image", errors.New("it is not there"))
	d := document{Predicate: attest.Predicate{Type: attest.SPDX}, source: "test"}
	if got, err := r.about(d); fault.CodeOf(err) != "subject_ambiguous" {
		t.Errorf("%v, %v", got, err)
	}
	d.Digests = []string{"web"}
	if got, err := r.about(d); len(got) > 0 || err != nil {
		t.Errorf("a document about the one that failed: %v, %v", got, err)
	}
}

// TestPlaceJoins: documents that say the same are one, about the subjects of both.
func TestPlaceJoins(t *testing.T) {
	r := subjectsOf([2]string{"index", ""}, [2]string{"amd64", "index"}, [2]string{"arm64", "index"})
	for _, digest := range []string{"amd64", "arm64", "amd64"} {
		r.documents = append(r.documents, document{Predicate: attest.Predicate{Type: attest.SPDX, Body: []byte(`{}`), Digests: []string{digest}}})
	}
	got, err := r.place()
	if err != nil || len(got) != 1 || !slices.Equal(got[0].at, []int{0, 1, 2}) {
		t.Errorf("%+v, %v", got, err)
	}
}
