package kmstest_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"

	"github.com/signgate/signgate/internal/kmsigner/kmstest"
)

const (
	accessKey = "AKIAIOSFODNN7EXAMPLE"
	secretKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

func start(t *testing.T, opts kmstest.Options) *kmstest.Server {
	t.Helper()
	server, err := kmstest.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server
}

func create(t *testing.T, server *kmstest.Server, spec kmstest.Spec) string {
	t.Helper()
	arn, err := server.CreateKey(spec)
	if err != nil {
		t.Fatal(err)
	}
	return arn
}

// client is the unmodified SDK with one attempt per call.
func client(server *kmstest.Server) *kms.Client {
	return kms.New(kms.Options{Region: "eu-west-1", BaseEndpoint: &server.URL, Retryer: aws.NopRetryer{},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}, nil
		})})
}

func wantError(t *testing.T, err error, code, says string) {
	t.Helper()
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok || api.ErrorCode() != code || !strings.Contains(api.ErrorMessage(), says) {
		t.Errorf("%v, want %s that says %q", err, code, says)
	}
}

func TestAlgorithms(t *testing.T) {
	server := start(t, kmstest.Options{})
	for _, spec := range []kmstest.Spec{kmstest.P256, kmstest.P384, kmstest.P521, kmstest.RSA2048, kmstest.RSA3072, kmstest.Ed25519} {
		t.Run(string(spec), func(t *testing.T) {
			arn := create(t, server, spec)
			public, err := client(server).GetPublicKey(t.Context(), &kms.GetPublicKeyInput{KeyId: &arn})
			if err != nil {
				t.Fatal(err)
			}
			if aws.ToString(public.KeyId) != arn || string(public.KeySpec) != string(spec) || public.KeyUsage != types.KeyUsageTypeSignVerify {
				t.Errorf("GetPublicKey: %s, %s, %s", aws.ToString(public.KeyId), public.KeySpec, public.KeyUsage)
			}
			for _, alg := range public.SigningAlgorithms {
				roundTrip(t, client(server), arn, public.PublicKey, alg)
			}
		})
	}
}

// roundTrip signs a message raw and, where it can be, as a digest; both verify
// here, with code that is not the server's, and there.
func roundTrip(t *testing.T, c *kms.Client, arn string, spki []byte, alg types.SigningAlgorithmSpec) {
	message := []byte("message")
	hash := hashOf(alg)
	inputs := []*kms.SignInput{{KeyId: &arn, Message: message, SigningAlgorithm: alg}}
	digest := message
	if hash != 0 {
		h := hash.New()
		h.Write(message)
		digest = h.Sum(nil)
		inputs = append(inputs, &kms.SignInput{KeyId: &arn, Message: digest, MessageType: types.MessageTypeDigest, SigningAlgorithm: alg})
	}
	for _, in := range inputs {
		out, err := c.Sign(t.Context(), in)
		if err != nil {
			t.Fatalf("%s %s: %v", alg, in.MessageType, err)
		}
		if aws.ToString(out.KeyId) != arn || out.SigningAlgorithm != alg || !verifies(spki, digest, out.Signature, alg) {
			t.Errorf("%s %s: the signature does not verify", alg, in.MessageType)
		}
		verify := &kms.VerifyInput{KeyId: &arn, Message: in.Message, MessageType: in.MessageType, SigningAlgorithm: alg, Signature: out.Signature}
		if checked, err := c.Verify(t.Context(), verify); err != nil || !checked.SignatureValid {
			t.Errorf("%s %s: Verify: %v", alg, in.MessageType, err)
		}
		out.Signature[len(out.Signature)-1] ^= 1
		_, err = c.Verify(t.Context(), verify)
		wantError(t, err, "KMSInvalidSignatureException", "")
	}
}

func hashOf(alg types.SigningAlgorithmSpec) crypto.Hash {
	if alg == types.SigningAlgorithmSpecEd25519Sha512 {
		return 0
	}
	return map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[string(alg[len(alg)-3:])]
}

func verifies(spki, digest, sig []byte, alg types.SigningAlgorithmSpec) bool {
	public, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return false
	}
	switch public := public.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(public, digest, sig)
	case ed25519.PublicKey:
		return ed25519.Verify(public, digest, sig)
	case *rsa.PublicKey:
		if strings.Contains(string(alg), "PSS") {
			salt := &rsa.PSSOptions{SaltLength: hashOf(alg).Size()}
			return rsa.VerifyPSS(public, hashOf(alg), digest, sig, salt) == nil
		}
		return rsa.VerifyPKCS1v15(public, hashOf(alg), digest, sig) == nil
	}
	return false
}

func TestErrors(t *testing.T) {
	server := start(t, kmstest.Options{})
	p256, rsa2048, ed, encrypts := create(t, server, kmstest.P256), create(t, server, kmstest.RSA2048),
		create(t, server, kmstest.Ed25519), create(t, server, kmstest.RSA2048)
	server.SetUsage(encrypts, "ENCRYPT_DECRYPT")
	digest, ecdsa256, dry := make([]byte, 32), types.SigningAlgorithmSpecEcdsaSha256, aws.Bool(true)
	for name, c := range map[string]struct {
		in         kms.SignInput
		code, says string
	}{
		"no such key":       {kms.SignInput{KeyId: aws.String("1234abcd-12ab-34cd-56ef-1234567890ab")}, "NotFoundException", "Key 'arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab' does not exist"},
		"no key id":         {kms.SignInput{KeyId: aws.String("fake-key-id")}, "NotFoundException", "Invalid keyId 'fake-key-id'"},
		"no such alias":     {kms.SignInput{KeyId: aws.String("alias/none")}, "NotFoundException", "Alias arn:aws:kms:eu-west-1:111122223333:alias/none is not found."},
		"another Region":    {kms.SignInput{KeyId: aws.String(strings.Replace(p256, "eu-west-1", "us-east-1", 1))}, "NotFoundException", "Invalid arn us-east-1"},
		"usage":             {kms.SignInput{KeyId: &encrypts}, "InvalidKeyUsageException", "key usage is ENCRYPT_DECRYPT which is not valid for Sign."},
		"algorithm":         {kms.SignInput{KeyId: &p256, SigningAlgorithm: types.SigningAlgorithmSpecEcdsaSha384}, "InvalidKeyUsageException", "Algorithm ECDSA_SHA_384 is incompatible with key spec ECC_NIST_P256."},
		"RSA is not ECDSA":  {kms.SignInput{KeyId: &rsa2048}, "InvalidKeyUsageException", "incompatible with key spec RSA_2048"},
		"digest length":     {kms.SignInput{KeyId: &p256, Message: digest[:31]}, "ValidationException", "Digest is invalid length for algorithm ECDSA_SHA_256."},
		"Ed25519 digest":    {kms.SignInput{KeyId: &ed, SigningAlgorithm: types.SigningAlgorithmSpecEd25519Sha512}, "ValidationException", "Message type DIGEST is incompatible"},
		"unknown algorithm": {kms.SignInput{KeyId: &p256, SigningAlgorithm: "MD5"}, "ValidationException", "Value 'MD5' at 'signingAlgorithm'"},
		"unknown type":      {kms.SignInput{KeyId: &p256, MessageType: "HASH"}, "ValidationException", "Value 'HASH' at 'messageType'"},
		"long message":      {kms.SignInput{KeyId: &p256, Message: make([]byte, 4097)}, "ValidationException", "less than or equal to 4096"},
		"dry run":           {kms.SignInput{KeyId: &p256, DryRun: dry}, "DryRunOperationException", "would have succeeded"},
		// The order of the checks: what comes first in the service hides the rest.
		"parameters first": {kms.SignInput{KeyId: aws.String("none"), SigningAlgorithm: "MD5"}, "ValidationException", ""},
		"digest, then dry": {kms.SignInput{KeyId: &p256, Message: digest[:1], DryRun: dry}, "ValidationException", ""},
		"usage, then dry":  {kms.SignInput{KeyId: &encrypts, DryRun: dry}, "InvalidKeyUsageException", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if c.in.Message == nil {
				c.in.Message = digest
			}
			if c.in.MessageType == "" {
				c.in.MessageType = types.MessageTypeDigest
			}
			if c.in.SigningAlgorithm == "" {
				c.in.SigningAlgorithm = ecdsa256
			}
			_, err := client(server).Sign(t.Context(), &c.in)
			wantError(t, err, c.code, c.says)
		})
	}
}

func TestStates(t *testing.T) {
	server := start(t, kmstest.Options{})
	arn := create(t, server, kmstest.P256)
	for state, want := range map[kmstest.State][2]string{
		kmstest.Disabled:         {"DisabledException", arn + " is disabled."},
		kmstest.PendingDeletion:  {"KMSInvalidStateException", arn + " is pending deletion"},
		kmstest.PendingImport:    {"KMSInvalidStateException", "is pending import"},
		kmstest.Creating:         {"KMSInvalidStateException", "is creating"},
		kmstest.StateUnavailable: {"KMSInvalidStateException", "is unavailable"},
	} {
		server.SetState(arn, state)
		_, err := client(server).GetPublicKey(t.Context(), &kms.GetPublicKeyInput{KeyId: &arn})
		wantError(t, err, want[0], want[1])
		// The state is looked at before the algorithm, and not by DescribeKey.
		_, err = client(server).Sign(t.Context(), &kms.SignInput{KeyId: &arn, Message: []byte("x"), SigningAlgorithm: "ECDSA_SHA_512"})
		wantError(t, err, want[0], want[1])
		out, err := client(server).DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &arn})
		if err != nil || string(out.KeyMetadata.KeyState) != string(state) || out.KeyMetadata.Enabled {
			t.Errorf("DescribeKey in the state %s: %+v, %v", state, out, err)
		}
	}
}

func TestDescribeKey(t *testing.T) {
	server := start(t, kmstest.Options{})
	arn := create(t, server, kmstest.RSA2048)
	server.Alias("alias/a", arn)
	out, err := client(server).DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: aws.String("alias/a")})
	if err != nil {
		t.Fatal(err)
	}
	m := out.KeyMetadata
	if aws.ToString(m.Arn) != arn || !strings.HasSuffix(arn, "/"+aws.ToString(m.KeyId)) || !m.Enabled || m.KeySpec != types.KeySpecRsa2048 ||
		time.Since(aws.ToTime(m.CreationDate)).Abs() > time.Minute || len(m.SigningAlgorithms) != 6 {
		t.Errorf("DescribeKey: %+v", m)
	}
}

func TestFaults(t *testing.T) {
	server := start(t, kmstest.Options{})
	arn, other := create(t, server, kmstest.P256), create(t, server, kmstest.P256)
	sign := func(ctx context.Context) (*kms.SignOutput, error) {
		return client(server).Sign(ctx, &kms.SignInput{KeyId: &arn, Message: []byte("m"), SigningAlgorithm: "ECDSA_SHA_256"})
	}
	server.Inject("Sign", kmstest.Throttle(), kmstest.Internal(), kmstest.Unavailable(), kmstest.Deny())
	for _, code := range []string{"ThrottlingException", "KMSInternalException", "ServiceUnavailable", "AccessDeniedException"} {
		_, err := sign(t.Context())
		wantError(t, err, code, "")
	}
	server.Inject("Sign", kmstest.OtherKey(other))
	if out, err := sign(t.Context()); err != nil || aws.ToString(out.KeyId) != other {
		t.Errorf("OtherKey: %v, %v", out, err)
	}
	server.Inject("Sign", kmstest.Truncate())
	if _, err := sign(t.Context()); err == nil {
		t.Error("Truncate: no error")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	server.Inject("Sign", kmstest.Hang())
	if _, err := sign(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Hang: %v", err)
	}
	server.Inject("Sign", kmstest.CorruptSignature())
	out, err := sign(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	digest := crypto.SHA256.New()
	digest.Write([]byte("m"))
	if ecdsa.VerifyASN1(server.Public(arn).(*ecdsa.PublicKey), digest.Sum(nil), out.Signature) {
		t.Error("CorruptSignature: the signature verifies")
	}
	if _, err := sign(t.Context()); err != nil {
		t.Errorf("after the faults: %v", err)
	}
}

func TestLog(t *testing.T) {
	server := start(t, kmstest.Options{})
	arn := create(t, server, kmstest.P256)
	client(server).Sign(t.Context(), &kms.SignInput{KeyId: &arn, Message: []byte("m"), SigningAlgorithm: "ECDSA_SHA_256", DryRun: aws.Bool(true)})
	client(server).GetPublicKey(t.Context(), &kms.GetPublicKeyInput{KeyId: &arn})
	var got []string
	for _, r := range server.Requests() {
		got = append(got, r.Operation+" "+r.Error)
		if r.KeyID != arn || r.DryRun != (r.Operation == "Sign") || len(r.RequestID) != 36 {
			t.Errorf("the log has %+v", r)
		}
	}
	if !slices.Equal(got, []string{"Sign DryRunOperationException", "GetPublicKey "}) || server.Count("Sign") != 1 {
		t.Errorf("the log has %q", got)
	}
}

func TestCloseBreaksHanging(t *testing.T) {
	server := start(t, kmstest.Options{})
	arn := create(t, server, kmstest.P256)
	server.Inject("GetPublicKey", kmstest.Hang())
	time.AfterFunc(50*time.Millisecond, func() { server.Close() })
	if _, err := client(server).GetPublicKey(t.Context(), &kms.GetPublicKeyInput{KeyId: &arn}); err == nil {
		t.Error("no error after Close")
	}
}

func TestSetupMistakes(t *testing.T) {
	server := start(t, kmstest.Options{})
	if _, err := server.CreateKey("SM2"); err == nil {
		t.Error("CreateKey made a key of a spec that does not exist here")
	}
	for name, f := range map[string]func(){
		"alias":  func() { server.Alias("release", "") },
		"no key": func() { server.SetState("none", kmstest.Disabled) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

// post sends a request that was signed by sign.
func post(t *testing.T, r *http.Request, body string) (status int, text string) {
	t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	b.ReadFrom(resp.Body)
	if resp.Header.Get("x-amzn-RequestId") == "" || resp.Header.Get("Content-Type") != "application/x-amz-json-1.1" {
		t.Errorf("%s: headers %v", body, resp.Header)
	}
	return resp.StatusCode, b.String()
}
