package gcpkms

import (
	"net/http"

	"github.com/go-json-experiment/json"
)

func decode(text []byte, out any) error { return json.Unmarshal(text, out) }

func answer(status int) *http.Response { return &http.Response{StatusCode: status} }
