// Package registry is signgate's one way to OCI registries.
//
// A Client serves one run: connections, tokens, the answer to "does this host
// serve the referrers API" and uploaded blobs are shared by all subjects. It
// follows the OCI distribution specification 1.1
// (https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md).
//
// Reading goes through a View, which reads each list of a subject once.
// Writing is Attach, then Settle once for the run, then Confirm, which reads
// the lists again and merges what other writers dropped.
//
// Every answer is found, absent or unknown, and unknown is an error, never
// absence. Everything that is read has a size limit and is hashed against the
// digest that named it. Credentials go to the registry they belong to and to
// its token server, and plain HTTP is spoken only to loopback hosts and to
// the hosts that the user listed.
package registry

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"golang.org/x/sync/semaphore"

	"github.com/signgate/signgate/internal/image"
	"github.com/signgate/signgate/internal/memo"
	"github.com/signgate/signgate/internal/retry"
)

// Options configure a Client.
type Options struct {
	Keychain authn.Keychain
	Source   func(registry string) string // the name of the credentials that Keychain used, for messages
	Insecure []string                     // registry hosts that may be spoken to over plain HTTP
	RootCAs  *x509.CertPool               // whom to believe that a host is who it says; nil means the system's
	Retry    retry.Policy
	Push     bool   // the run will write: ask for that right from the start, with one token
	Store    string // the repository of all attachments; "" means that of each image

	// Settle is how long a writer waits, where the registry has no referrers
	// API, before it looks whether another writer has replaced its tags. A write
	// has to take effect within half of it; 0 looks at once.
	Settle time.Duration

	UserAgent string
	Transport http.RoundTripper // nil means a new one, with the proxy settings of the environment
}

// Client speaks to registries. It is safe for concurrent use.
type Client struct {
	opts    Options
	base    http.RoundTripper
	hosts   memo.Memo[string, *host]
	session memo.Memo[sessionKey, *session]
	uploads memo.Memo[string, struct{}] // by repository and digest
	content content
	memory  *semaphore.Weighted // bytes of candidates that nobody has looked at yet

	mu       sync.Mutex
	lastSlow time.Time // the last write to a tag that others may replace unseen; owned by mu
}

// The bounds of a run, in bytes.
const (
	maxRead    = 1 << 30  // what is read from registries
	maxContent = 16 << 20 // what is kept to be read again
	maxPending = MaxBlob  // what is fetched ahead
)

// New returns a client without any connection.
func New(opts Options) *Client {
	base := opts.Transport
	if base == nil {
		base = newTransport(opts.RootCAs)
	}
	c := &Client{opts: opts, content: content{left: maxContent}, memory: semaphore.NewWeighted(maxPending)}
	c.base = transport.NewUserAgent(&guard{inner: base, insecure: opts.Insecure}, opts.UserAgent)
	return c
}

func newTransport(roots *x509.CertPool) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DisableCompression = true // limits count the bytes that came over the wire
	t.MaxIdleConns, t.MaxIdleConnsPerHost = 0, maxInFlight
	if roots != nil {
		if t.TLSClientConfig == nil {
			t.TLSClientConfig = &tls.Config{}
		}
		t.TLSClientConfig.RootCAs = roots
	}
	return t
}

// store returns the repository that holds what is attached to s. Every path
// that reads or writes attachments asks here.
func (c *Client) store(s image.Subject) string {
	if c.opts.Store != "" {
		return c.opts.Store
	}
	return s.Repository
}

// hostOf returns the registry of a repository.
func hostOf(repository string) string {
	host, _, _ := strings.Cut(repository, "/")
	return host
}

// Presence is a registry's answer to "do you have it". The zero value is
// Unknown, and comes with an error; it is never to be taken for Absent.
type Presence int

// The three answers.
const (
	Unknown Presence = iota
	Absent
	Found
)
