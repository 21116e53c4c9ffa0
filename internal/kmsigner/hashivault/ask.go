package hashivault

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxResponse bounds the body of an answer. The longest is that of an RSA-4096
// key with all its versions, 1 KiB each.
const maxResponse = 4 << 20

// call is a request to the server.
type call struct {
	what      string // for people: "sign with the key …"
	method    string
	path      string // below /v1/
	namespace string
	body      any // sent as JSON, if not nil
	login     bool
}

// envelope is what all answers have around their data.
type envelope struct {
	RequestID string         `json:"request_id"`
	Data      jsontext.Value `json:"data"`
	Auth      jsontext.Value `json:"auth"`
}

// ask makes one attempt, and reads the data of the answer, or for a login its
// auth, into out unless that is nil. It returns the server's name for the
// request.
func (s *session) ask(ctx context.Context, c call, out any) (string, error) {
	req, err := s.request(ctx, c)
	if err != nil {
		return "", err
	}
	resp, body, err := s.fetch(s.client, req)
	switch {
	case err != nil:
		return "", s.explainTransport(ctx, c, err)
	case resp.StatusCode >= 300:
		return "", s.explain(c, resp, body)
	case out == nil:
		return "", nil
	}
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		return "", s.unexpected(c.what, "it is not the JSON of Vault")
	}
	data := e.Data
	if c.login {
		data = e.Auth
	}
	if len(data) == 0 || data.Kind() != '{' || json.Unmarshal(data, out) != nil {
		return "", s.unexpected(c.what, "members are missing or of another type")
	}
	return e.RequestID, nil
}

func (s *session) request(ctx context.Context, c call) (*http.Request, error) {
	var body io.Reader
	if c.body != nil {
		text, err := json.Marshal(c.body)
		if err != nil {
			return nil, s.unexpected(c.what, "the request cannot be written")
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, c.method, s.address.String()+"/v1/"+c.path, body)
	if err != nil {
		return nil, s.unexpected(c.what, "its path is malformed")
	}
	req.Header.Set("X-Vault-Request", "true") // agents may ask for it
	if c.namespace != "" {
		req.Header.Set("X-Vault-Namespace", c.namespace)
	}
	if !c.login {
		req.Header.Set("X-Vault-Token", s.token)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// fetch reads one answer, up to maxResponse.
func (s *session) fetch(client *http.Client, req *http.Request) (*http.Response, []byte, error) {
	resp, err := client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse+1))
	if err == nil && len(body) > maxResponse {
		err = errTooLarge
	}
	return resp, body, err
}
