package layout

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"

	"github.com/signgate/signgate/internal/image"
)

var path = regexp.MustCompile(`^/v2/(.+)/(manifests|blobs|referrers)/([^/]+)$`)

// RoundTrip answers a request as a registry would that has the layout in each
// of its repositories, and takes nothing. It makes a Layout the transport of a
// registry client, which then speaks to no network.
func (l *Layout) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		r.Body.Close()
	}
	m := path.FindStringSubmatch(r.URL.Path)
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return answer(r, http.StatusMethodNotAllowed, "", nil)
	case r.URL.Path == "/v2/":
		return answer(r, http.StatusOK, "application/json", []byte("{}"))
	case m == nil:
		return answer(r, http.StatusNotFound, "", nil)
	case m[2] == "blobs":
		return l.blob(r, m[3])
	case m[2] == "referrers":
		return l.referrers(r, m[3])
	}
	return l.manifest(r, m[3])
}

func (l *Layout) manifest(r *http.Request, reference string) (*http.Response, error) {
	d := descriptor{Digest: reference}
	for _, o := range l.index.Manifests {
		if o.Digest == reference || o.tag() == reference {
			d = o
		}
	}
	if image.CheckDigest(d.Digest) != nil {
		return answer(r, http.StatusNotFound, "", nil)
	}
	body, err := read(l.path(d.Digest))
	if os.IsNotExist(err) {
		return answer(r, http.StatusNotFound, "", nil)
	} else if err != nil {
		return nil, err
	}
	if d.MediaType == "" { // index.json need not list what an index has below it
		d.MediaType = contentOf(body).MediaType
	}
	resp, err := answer(r, http.StatusOK, d.MediaType, body)
	resp.Header.Set("Docker-Content-Digest", d.Digest)
	return resp, err
}

func (l *Layout) blob(r *http.Request, digest string) (*http.Response, error) {
	if image.CheckDigest(digest) != nil {
		return answer(r, http.StatusNotFound, "", nil)
	}
	f, err := os.Open(l.path(digest))
	if os.IsNotExist(err) {
		return answer(r, http.StatusNotFound, "", nil)
	} else if err != nil {
		return nil, err
	}
	resp, err := answer(r, http.StatusOK, "application/octet-stream", nil)
	resp.Body, resp.ContentLength = f, -1 // the reader has limits of its own
	return resp, err
}

// referrers lists the manifests that name the digest as their subject.
func (l *Layout) referrers(r *http.Request, digest string) (*http.Response, error) {
	out := index{SchemaVersion: 2, MediaType: image.OCIIndex, Manifests: []descriptor{}}
	for _, d := range l.index.Manifests {
		if image.CheckDigest(d.Digest) != nil {
			continue
		}
		body, err := read(l.path(d.Digest))
		if err != nil {
			return nil, err
		}
		c := contentOf(body)
		if c.Subject.Digest != digest {
			continue
		}
		if d.Annotations, d.ArtifactType = c.Annotations, c.ArtifactType; d.ArtifactType == "" {
			d.ArtifactType = c.Config.MediaType // OCI distribution 1.1, "Listing Referrers"
		}
		out.Manifests = append(out.Manifests, d)
	}
	body, err := json.Marshal(out)
	if err != nil {
		return nil, err
	}
	return answer(r, http.StatusOK, image.OCIIndex, body)
}

// content is what a manifest says of itself.
type content struct {
	MediaType    string            `json:"mediaType"`
	ArtifactType string            `json:"artifactType"`
	Annotations  map[string]string `json:"annotations"`
	Config       descriptor        `json:"config"`
	Subject      descriptor        `json:"subject"`
}

// contentOf returns nothing for a body that is no manifest: whoever reads that
// says what is wrong with it.
func contentOf(body []byte) (c content) {
	if json.Unmarshal(body, &c) != nil {
		return content{}
	}
	return c
}

func answer(r *http.Request, status int, mediaType string, body []byte) (*http.Response, error) {
	h := http.Header{}
	if mediaType != "" {
		h.Set("Content-Type", mediaType)
	}
	size := int64(len(body))
	if r.Method == http.MethodHead {
		body = nil
	}
	return &http.Response{
		Status: http.StatusText(status), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: h, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: size,
	}, nil
}
