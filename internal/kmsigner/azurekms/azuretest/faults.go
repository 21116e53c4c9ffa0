package azuretest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
)

// Fault spoils one answer. It may call next for the intact one.
type Fault func(req *http.Request, next func() (*http.Response, error)) (*http.Response, error)

// Inject spoils the next calls of an operation, "get" or "sign", one each.
func (v *Vault) Inject(operation string, faults ...Fault) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.faults[operation] = append(v.faults[operation], faults...)
}

// Times repeats a fault.
func Times(n int, f Fault) []Fault { return slices.Repeat([]Fault{f}, n) }

// Fail answers with an error of the service. Headers are pairs.
func Fail(status int, code, inner, text string, headers ...string) Fault {
	return func(*http.Request, func() (*http.Response, error)) (*http.Response, error) {
		resp := problem(status, code, inner, text)
		for i := 0; i+1 < len(headers); i += 2 {
			resp.Header.Set(headers[i], headers[i+1])
		}
		return resp, nil
	}
}

// Stranger answers as something that is no vault.
func Stranger(status int, body string) Fault {
	return func(*http.Request, func() (*http.Response, error)) (*http.Response, error) {
		return response(status, "text/html", []byte(body)), nil
	}
}

// Hang never answers.
func Hang() Fault {
	return func(req *http.Request, _ func() (*http.Response, error)) (*http.Response, error) {
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
}

// Truncate ends the answer in its middle.
func Truncate() Fault {
	return change(func(resp *http.Response, body []byte) {
		resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body[:len(body)/2]), broken{}))
	})
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// Edit changes the members of the answer.
func Edit(edit func(map[string]any)) Fault {
	return change(func(resp *http.Response, body []byte) {
		var all map[string]any
		if json.Unmarshal(body, &all) != nil {
			return
		}
		edit(all)
		body, _ = json.Marshal(all)
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		resp.Header.Del("Content-Length")
	})
}

// Set changes one member of the answer, of "key" if the answer has one.
func Set(name string, value any) Fault {
	return Edit(func(all map[string]any) {
		if key, ok := all["key"].(map[string]any); ok {
			all = key
		}
		all[name] = value
	})
}

// Break fails on the way.
func Break(text string) Fault {
	return func(*http.Request, func() (*http.Response, error)) (*http.Response, error) {
		return nil, errors.New(text)
	}
}

func change(f func(*http.Response, []byte)) Fault {
	return func(_ *http.Request, next func() (*http.Response, error)) (*http.Response, error) {
		resp, err := next()
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return nil, err
		}
		resp.Body = io.NopCloser(bytes.NewReader(body))
		f(resp, body)
		return resp, nil
	}
}
