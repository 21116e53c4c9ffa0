package main

import (
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"os/exec"
	"time"
)

// digest is what a contender signs that gets no message.
var digest = sha256.Sum256(message)

// player is the process of a contender, which signs when asked to.
type player struct {
	cmd     *exec.Cmd
	public  *ecdsa.PublicKey
	asks    io.WriteCloser
	answers *json.Decoder
	stderr  bytes.Buffer
}

func start(cmd *exec.Cmd, public *ecdsa.PublicKey) (*player, error) {
	p := &player{cmd: cmd, public: public}
	cmd.Stderr = &p.stderr
	var err error
	if p.asks, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.answers = json.NewDecoder(out)
	return p, cmd.Start()
}

// play lets n callers sign for a moment.
func (p *player) play(n int, moment time.Duration) (sample, error) {
	if _, err := fmt.Fprintln(p.asks, n, moment.Milliseconds()); err != nil {
		return sample{}, p.failed(err)
	}
	return p.answer()
}

// answer reads one sample, and believes it when its signature verifies.
func (p *player) answer() (s sample, err error) {
	if err := p.answers.Decode(&s); err != nil {
		return s, p.failed(err)
	}
	if s.Count == 0 || !verifies(p.public, s.Signature) {
		return s, fmt.Errorf("the last of %d signatures does not verify: %x", s.Count, s.Signature)
	}
	return s, nil
}

// failed says why a process does not answer: its own words, if it has any.
func (p *player) failed(err error) error {
	return cmp.Or(p.stop(), err)
}

// stop ends the process, which reads the end of its input.
func (p *player) stop() error {
	p.asks.Close()
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(p.stderr.Bytes()))
	}
	return nil
}

// verifies takes r‖s as PKCS#11 has it, and DER, which is longer: for 64 bytes of
// it six bytes of r and s would have to be zero.
func verifies(public *ecdsa.PublicKey, signature []byte) bool {
	if len(signature) == 64 {
		r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
		signature, _ = asn1.Marshal(struct{ R, S *big.Int }{r, s}) // of two numbers, which does not fail
	}
	return ecdsa.VerifyASN1(public, digest[:], signature)
}

// once runs a contender that answers without being asked.
func once(cmd *exec.Cmd, public *ecdsa.PublicKey) (sample, error) {
	p, err := start(cmd, public)
	if err != nil {
		return sample{}, err
	}
	s, err := p.answer()
	if err != nil {
		return s, err
	}
	return s, p.stop()
}
