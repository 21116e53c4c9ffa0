package awskms_test

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signgate/signgate/internal/fault"
	"github.com/signgate/signgate/internal/kmsigner/awskms"
	"github.com/signgate/signgate/internal/kmsigner/kmstest"
	"github.com/signgate/signgate/internal/retry"
	"github.com/signgate/signgate/internal/signer"
	"github.com/signgate/signgate/internal/signer/signertest"
)

// world is three Regions with one multi-Region key.
type world struct {
	first, second, third *kmstest.Server
	arn                  string // in the first Region
	client               *http.Client
	mu                   sync.Mutex
	notices              []string
}

const failover = "?failover=us-east-1,eu-central-1"

func newWorld(t *testing.T, spec kmstest.Spec) *world {
	t.Helper()
	w := &world{first: start(t)}
	os.Unsetenv("AWS_ENDPOINT_URL_KMS") // start restores it
	w.second, w.third = region(t, "us-east-1"), region(t, "eu-central-1")
	w.client = &http.Client{Transport: kmstest.Transport(w.first, w.second, w.third)}
	arn, err := w.first.CreateMultiRegionKey(spec, w.second, w.third)
	if err != nil {
		t.Fatal(err)
	}
	w.arn = arn
	return w
}

func region(t *testing.T, name string) *kmstest.Server {
	t.Helper()
	server, err := kmstest.New(kmstest.Options{Region: name, SecretAccessKey: secret, SessionToken: token})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server
}

func (w *world) options() awskms.Options {
	return awskms.Options{Retry: quick, HTTPClient: w.client, Notice: func(text string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.notices = append(w.notices, text)
	}}
}

func (w *world) open(t *testing.T, uri string) *awskms.Key {
	t.Helper()
	key, err := awskms.Open(t.Context(), uri, w.options())
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (w *world) counts() []int {
	return []int{w.first.Count("Sign"), w.second.Count("Sign"), w.third.Count("Sign")}
}

func TestFailoverContract(t *testing.T) {
	for _, spec := range []kmstest.Spec{kmstest.P256, kmstest.MLDSA44} {
		w := newWorld(t, spec)
		w.first.Inject("Sign", kmstest.Internal()) // the rest is signed elsewhere
		signertest.Run(t, func(t *testing.T) signer.Key { return w.open(t, "awskms:///"+w.arn+failover) }, []signer.Algorithm{specs[spec]}, secret, token)
	}
}

// The failover matrix: what the first Region does wrong, where the signature is
// made or how the run ends, and how often each Region was asked to sign.
func TestFailover(t *testing.T) {
	disabled := kmstest.Fail("DisabledException", "the key is disabled.")
	for name, c := range map[string]struct {
		first, second []kmstest.Fault
		outcome       fault.Outcome
		code          string
		in            string // the Region that signs
		counts        []int
	}{
		"nothing":           {nil, nil, fault.Passed, "", "", []int{1, 0, 0}},
		"throttled":         {[]kmstest.Fault{kmstest.Throttle()}, nil, fault.Passed, "", "us-east-1", []int{1, 1, 0}},
		"internal":          {[]kmstest.Fault{kmstest.Internal()}, nil, fault.Passed, "", "us-east-1", []int{1, 1, 0}},
		"load balancer":     {[]kmstest.Fault{kmstest.Unavailable()}, nil, fault.Passed, "", "us-east-1", []int{1, 1, 0}},
		"truncated":         {[]kmstest.Fault{kmstest.Truncate()}, nil, fault.Passed, "", "us-east-1", []int{1, 1, 0}},
		"hangs":             {[]kmstest.Fault{kmstest.Hang()}, nil, fault.Passed, "", "us-east-1", []int{1, 1, 0}},
		"key unavailable":   {[]kmstest.Fault{kmstest.Fail("KeyUnavailableException", "")}, nil, fault.Passed, "", "us-east-1", []int{1, 1, 0}},
		"dependency":        {[]kmstest.Fault{kmstest.Fail("DependencyTimeoutException", "")}, nil, fault.Passed, "", "us-east-1", []int{1, 1, 0}},
		"both":              {[]kmstest.Fault{kmstest.Throttle()}, []kmstest.Fault{kmstest.Internal()}, fault.Passed, "", "eu-central-1", []int{1, 1, 1}},
		"denied":            {[]kmstest.Fault{kmstest.Deny()}, nil, fault.Undecided, "kms_access_denied", "", []int{1, 0, 0}},
		"disabled":          {[]kmstest.Fault{disabled}, nil, fault.Refused, "kms_key_disabled", "", []int{1, 0, 0}},
		"pending deletion":  {[]kmstest.Fault{kmstest.PendingDeletionDisabled("the key")}, nil, fault.Refused, "kms_key_disabled", "", []int{1, 0, 0}},
		"pending import":    {[]kmstest.Fault{kmstest.Fail("KMSInvalidStateException", "the key is pending import.")}, nil, fault.Refused, "kms_key_disabled", "", []int{1, 0, 0}},
		"creating":          {kmstest.Times(4, kmstest.Fail("KMSInvalidStateException", "the key is creating.")), nil, fault.Undecided, "kms_unavailable", "", []int{4, 0, 0}},
		"not found":         {[]kmstest.Fault{kmstest.Fail("NotFoundException", "")}, nil, fault.Config, "kms_key_not_found", "", []int{1, 0, 0}},
		"wrong usage":       {[]kmstest.Fault{kmstest.Fail("InvalidKeyUsageException", "")}, nil, fault.Config, "kms_invalid_usage", "", []int{1, 0, 0}},
		"expired":           {[]kmstest.Fault{kmstest.Expire()}, nil, fault.Undecided, "aws_credentials_expired", "", []int{1, 0, 0}},
		"unknown code":      {[]kmstest.Fault{kmstest.Fail("NewException", "")}, nil, fault.Undecided, "kms_unexpected", "", []int{1, 0, 0}},
		"corrupted":         {[]kmstest.Fault{kmstest.CorruptSignature()}, nil, fault.Refused, "bad_signature", "", []int{1, 0, 0}},
		"corrupted there":   {[]kmstest.Fault{kmstest.Throttle()}, []kmstest.Fault{kmstest.CorruptSignature()}, fault.Refused, "bad_signature", "", []int{1, 1, 0}},
		"another ARN there": {[]kmstest.Fault{kmstest.Throttle()}, []kmstest.Fault{kmstest.Edit("KeyId", "arn:aws:kms:us-east-1:444455556666:key/mrk-1")}, fault.Refused, "key_mismatch", "", []int{1, 1, 0}},
		"disabled there":    {[]kmstest.Fault{kmstest.Throttle()}, []kmstest.Fault{disabled}, fault.Refused, "kms_key_disabled", "", []int{1, 1, 0}},
		"denied there":      {[]kmstest.Fault{kmstest.Throttle()}, []kmstest.Fault{kmstest.Deny()}, fault.Undecided, "kms_access_denied", "", []int{1, 1, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, kmstest.P256)
			key := w.open(t, "awskms:///"+w.arn+failover)
			guarded, err := signer.Guard(key, retry.Policy{Attempts: 4, PerAttempt: time.Second, Base: time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			w.first.Inject("Sign", c.first...)
			w.second.Inject("Sign", c.second...)
			sig, err := guarded.Sign(t.Context(), signer.ECDSASHA256, []byte("message"))
			if c.outcome == fault.Passed {
				where, id, elsewhere := strings.Cut(sig.RequestID, "/")
				if err != nil || sig.KeyID != w.arn || elsewhere != (c.in != "") || elsewhere && (where != c.in || len(id) != 36) {
					t.Errorf("signed as %s, request %s, %v; want %s in %q", sig.KeyID, sig.RequestID, err, w.arn, c.in)
				}
			} else {
				wantFault(t, err, c.outcome, c.code)
			}
			if got := w.counts(); !slices.Equal(got, c.counts) {
				t.Errorf("the Regions were asked %v times, want %v", got, c.counts)
			}
		})
	}
}

// A Region that failed is left for the rest of the run, with one notice.
func TestFailedRegionIsLeft(t *testing.T) {
	w := newWorld(t, kmstest.P256)
	guarded := guard(t, w.open(t, "awskms:///"+w.arn+failover))
	w.first.Inject("Sign", kmstest.Unavailable())
	for range 5 {
		if _, err := guarded.Sign(t.Context(), signer.ECDSASHA256, []byte("message")); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.counts(); !slices.Equal(got, []int{1, 5, 0}) {
		t.Errorf("the Regions were asked %v times, want 1, 5, 0", got)
	}
	if n := w.second.Count("GetPublicKey"); n != 1 {
		t.Errorf("the public key of the replica was read %d times, want once", n)
	}
	if len(w.notices) != 1 || !strings.Contains(w.notices[0], "eu-west-1") || !strings.Contains(w.notices[0], "kms_unavailable") {
		t.Errorf("notices %q, want one about eu-west-1", w.notices)
	}
}

// When all Regions have failed, each is tried again, and the message names them.
func TestAllRegionsFail(t *testing.T) {
	w := newWorld(t, kmstest.P256)
	guarded := guard(t, w.open(t, "awskms:///"+w.arn+failover))
	for _, server := range []*kmstest.Server{w.first, w.second, w.third} {
		server.Inject("Sign", kmstest.Throttle())
	}
	if _, err := guarded.Sign(t.Context(), signer.ECDSASHA256, []byte("message")); err != nil {
		t.Errorf("after one throttle everywhere: %v", err)
	}
	for _, server := range []*kmstest.Server{w.first, w.second, w.third} {
		server.Inject("Sign", kmstest.Times(8, kmstest.Throttle())...)
	}
	_, err := guarded.Sign(t.Context(), signer.ECDSASHA256, []byte("message"))
	wantFault(t, err, fault.Undecided, "kms_throttled", "had failed", "(kms_throttled) and ")
}

// The first Region is away already when the key is opened.
func TestFailoverAtOpen(t *testing.T) {
	w := newWorld(t, kmstest.P256)
	id := w.arn[strings.LastIndex(w.arn, "/")+1:]
	alias := w.first.Alias("alias/release", w.arn)
	w.first.Close()
	for _, name := range []string{w.arn, id} {
		key := w.open(t, "awskms:///"+name+failover)
		if key.ID() != w.arn {
			t.Errorf("%s: the ID is %s, want that of the Region asked for", name, key.ID())
		}
		sig, err := guard(t, key).Sign(t.Context(), signer.ECDSASHA256, []byte("message"))
		if err != nil || !strings.HasPrefix(sig.RequestID, "us-east-1/") {
			t.Errorf("%s: %q, %v", name, sig.RequestID, err)
		}
	}
	_, err := awskms.Open(t.Context(), "awskms:///"+alias+failover, w.options())
	wantFault(t, err, fault.Undecided, "kms_unavailable", "alias/release")
	if n := w.third.Count("GetPublicKey"); n != 0 {
		t.Error("an alias was looked up in another Region")
	}
}

// The guard never sees a signature of a replica with another public key.
func TestReplicaWithAnotherKey(t *testing.T) {
	w := newWorld(t, kmstest.P256)
	other := newWorld(t, kmstest.P256)
	guarded := guard(t, w.open(t, "awskms:///"+w.arn+failover))
	w.first.Inject("Sign", kmstest.Internal())
	_, public := publicOf(t, other.second, other.arn)
	w.second.Inject("GetPublicKey", kmstest.Edit("PublicKey", public))
	_, err := guarded.Sign(t.Context(), signer.ECDSASHA256, []byte("message"))
	wantFault(t, err, fault.Refused, "key_mismatch", "us-east-1", "another public key")
	if got := w.counts(); !slices.Equal(got, []int{1, 0, 0}) {
		t.Errorf("the Regions were asked to sign %v times, want 1, 0, 0", got)
	}
}

func publicOf(t *testing.T, server *kmstest.Server, arn string) (string, []byte) {
	t.Helper()
	id := arn[strings.LastIndex(arn, "/")+1:]
	der, err := signer.MarshalPublicKey(server.Public(id))
	if err != nil {
		t.Fatal(err)
	}
	return id, der
}

// A pin that does not fit ends the run before anything is signed, in any Region.
func TestPinMismatchSignsNothing(t *testing.T) {
	w := newWorld(t, kmstest.P256)
	guarded := guard(t, w.open(t, "awskms:///"+w.arn+failover))
	err := signer.CheckPins([]*signer.Signer{guarded}, []string{"sha256:" + strings.Repeat("0", 64)})
	wantFault(t, err, fault.Refused, "key_mismatch", w.arn)
	if got := w.counts(); !slices.Equal(got, []int{0, 0, 0}) {
		t.Errorf("the Regions were asked to sign %v times", got)
	}
}

func TestFailoverRefusals(t *testing.T) {
	w := newWorld(t, kmstest.P256)
	single := create(t, w.first, kmstest.P256)
	w.first.Alias("alias/single", single)
	for uri, says := range map[string]string{
		"awskms:///" + single + failover:                                         "not a multi-Region key",
		"awskms:///" + single[strings.LastIndex(single, "/")+1:] + failover:      "not a multi-Region key",
		"awskms:///alias/single" + failover:                                      "not a multi-Region key",
		"awskms:///" + w.arn + "?failover=eu-west-1":                             "twice",
		"awskms:///" + w.arn + "?failover=us-east-1,us-east-1":                   "twice",
		"awskms:///" + w.arn + "?failover=cn-north-1":                            "partitions",
		"awskms:///" + w.arn + "?failover=us-gov-west-1":                         "partitions",
		"awskms://localhost/" + w.arn + failover:                                 "one endpoint",
		"awskms:///mrk-1234abcd12ab34cd56ef1234567890ab?failover=eu-west-1":      "twice", // of AWS_REGION
		"awskms:///mrk-1234abcd12ab34cd56ef1234567890ab?failover=eusc-de-east-1": "partitions",
	} {
		_, err := awskms.Open(t.Context(), uri, w.options())
		wantFault(t, err, fault.Config, "kms_failover_invalid", says)
	}
	t.Setenv("AWS_ENDPOINT_URL_KMS", w.first.URL)
	_, err := awskms.Open(t.Context(), "awskms:///"+w.arn+failover, w.options())
	wantFault(t, err, fault.Config, "kms_failover_invalid", "one endpoint "+w.first.URL)
	if n := w.first.Count("Sign") + w.second.Count("GetPublicKey"); n != 0 {
		t.Error("a refused list led to a call")
	}
}
