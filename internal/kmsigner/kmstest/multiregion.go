package kmstest

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// member is one of the related keys that make up a multi-Region key.
type member struct{ arn, region string }

// CreateMultiRegionKey makes a multi-Region key with its primary here and a
// replica at each of the other servers, and returns the ARN here. Key ID and
// material are shared; state, usage and aliases are each server's own
// (Multi-Region keys, AWS KMS developer guide). The servers need Regions of
// their own and one account.
func (s *Server) CreateMultiRegionKey(spec Spec, replicas ...*Server) (arn string, err error) {
	private, err := generate(spec)
	if err != nil {
		return "", err
	}
	id := "mrk-" + strings.ReplaceAll(newUUID(), "-", "")
	servers := append([]*Server{s}, replicas...)
	var members []member
	for _, server := range servers {
		members = append(members, member{server.arn("key/" + id), server.opts.Region})
	}
	for _, server := range servers {
		server.add(&key{id: id, spec: spec, private: private, members: members})
	}
	return members[0].arn, nil
}

// configuration is the MultiRegionConfiguration of DescribeKey.
func (k key) configuration() answer {
	related := func(m member) answer { return answer{"Arn": m.arn, "Region": m.region} }
	kind, replicas := "REPLICA", []answer{}
	if k.arn == k.members[0].arn {
		kind = "PRIMARY"
	}
	for _, m := range k.members[1:] {
		replicas = append(replicas, related(m))
	}
	return answer{"MultiRegionKeyType": kind, "PrimaryKey": related(k.members[0]), "ReplicaKeys": replicas}
}

// Transport takes what is sent to AWS's own endpoints, also those with FIPS or
// dual-stack, to the server of the Region, and refuses to go anywhere else. It
// lets a client that knows nothing of it work with several Regions.
func Transport(servers ...*Server) http.RoundTripper {
	t := transport{}
	for _, s := range servers {
		t[s.opts.Region] = s
	}
	return t
}

type transport map[string]*Server // by Region

var endpoint = regexp.MustCompile(`^https://kms(?:-fips)?\.([a-z0-9-]+)\.`)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	m := endpoint.FindStringSubmatch(r.URL.String())
	if m == nil || t[m[1]] == nil {
		return nil, fmt.Errorf("kmstest serves nothing at %s", r.URL.Host)
	}
	there := r.Clone(r.Context())
	there.Host = r.URL.Host // as it was signed
	there.URL = &url.URL{Scheme: "http", Host: strings.TrimPrefix(t[m[1]].URL, "http://"), Path: r.URL.Path, RawQuery: r.URL.RawQuery}
	return http.DefaultTransport.RoundTrip(there)
}
