package image_test

import (
	"encoding/json"
	"testing"

	"github.com/signgate/signgate/internal/image"
)

// TestCheckNames: what other readers take for a member of a manifest is refused,
// and what is the user's own is not.
func TestCheckNames(t *testing.T) {
	for body, ok := range map[string]bool{
		`{"mediaType":"x","manifests":[{"digest":"a","platform":{"os":"linux"}}]}`:   true,
		`{"manifests":[],"annotations":{"Manifests":"a","DIGEST":"b","digest":"c"}}`: true,
		`{"config":{"Labels":{"Architecture":"x","OS":"y"}},"os":"linux"}`:           true,
		`{"manifests":[1],"Manifests":[2]}`:                                          false,
		`{"Manifests":[2]}`:                                                          false,
		`{"manifests":[{"digest":"a","Digest":"b"}]}`:                                false,
		`{"manife\u017fts":[2]}`:                                                     false,
		`{"manifests":[{"platform":{"OS":"linux"}}]}`:                                false,
		`{"layers":[],"LAYERS":[]}`:                                                  false,
		`{"x":{"y":[{"MediaType":1}]}}`:                                              false,
		`{"a":`:                                                                      false,
	} {
		if err := image.CheckNames([]byte(body), "annotations", "config"); (err == nil) != ok {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// FuzzCheckNames: what passes is read alike by a reader who does not look at the
// case of names.
func FuzzCheckNames(f *testing.F) {
	f.Add([]byte(`{"manifests":[{"digest":"a"}],"config":null,"layers":[]}`))
	f.Add([]byte(`{"manifests":[{"digest":"a"}],"Manifest\u017f":[{"DIGEST":"b"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if image.CheckNames(body, "annotations") != nil {
			return
		}
		var folded struct {
			Manifests []struct{ Digest string }
			Layers    []struct{ Digest string }
		}
		var exact map[string]json.RawMessage
		if json.Unmarshal(body, &exact) != nil || json.Unmarshal(body, &folded) != nil {
			return
		}
		if _, there := exact["manifests"]; !there && folded.Manifests != nil {
			t.Errorf("%q: manifests by another name", body)
		}
		if _, there := exact["layers"]; !there && folded.Layers != nil {
			t.Errorf("%q: layers by another name", body)
		}
	})
}
