package main

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// recorded are the files that k3s keeps in the datastore, below its server folder: the authorities, the signing key of
// service accounts, the passwords, and the files of an etcd and a network of its own.
var recorded = []string{
	"tls/server-ca.crt", "tls/server-ca.key", "tls/client-ca.crt", "tls/client-ca.key",
	"tls/request-header-ca.crt", "tls/request-header-ca.key", "tls/service.key",
	"tls/etcd/server-ca.crt", "tls/etcd/server-ca.key", "tls/etcd/peer-ca.crt", "tls/etcd/peer-ca.key",
	"cred/passwd", "cred/ipsec.psk",
}

const (
	recordPrefix = "/bootstrap"
	lockAttempts = 5
	lockPause    = 5 * time.Second
	timeSkew     = 3 // seconds
)

// record is k3s's bootstrap data in the datastore, under a key that the token gives and encrypted with it.
type record struct {
	server *k3s
	client *clientv3.Client
	key    string
	locked bool // this server has to write it
}

type recordedFile struct {
	Timestamp time.Time
	Content   []byte
}

// bootstrap reads the record, or locks it to write it later. It ends with an error, as k3s does, if the datastore
// refuses connections or holds the record of another token.
func (k *k3s) bootstrap(ctx context.Context) (*record, error) {
	for _, folder := range []string{"etc", "tls", "cred"} {
		if err := os.MkdirAll(k.folder(folder), 0o700); err != nil {
			return nil, err
		}
	}
	made := &record{server: k, key: recordPrefix + "/" + hash(k.token)}
	var err error
	if made.client, err = k.datastore(); err != nil {
		return nil, err
	}
	for attempts := 1; ; attempts++ {
		done, err := made.load(ctx, attempts)
		if done || err != nil {
			return made, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(lockPause):
		}
	}
}

func hash(token string) string {
	digest := sha256.Sum256([]byte(token))
	return hex.EncodeToString(digest[:])[:12]
}

func (k *k3s) datastore() (*clientv3.Client, error) {
	endpoints := strings.Split(k.one("datastore-endpoint", ""), ",")
	if err := refused(endpoints); err != nil {
		return nil, err
	}
	files := transport.TLSInfo{
		CertFile: k.one("datastore-certfile", ""), KeyFile: k.one("datastore-keyfile", ""),
		TrustedCAFile: k.one("datastore-cafile", ""),
	}
	config, err := files.ClientConfig()
	if err != nil {
		return nil, err
	}
	return clientv3.New(clientv3.Config{Endpoints: endpoints, TLS: config, DialTimeout: 10 * time.Second})
}

// refused is an error if every endpoint refuses connections: then k3s ends at once, and waits in other cases.
func refused(endpoints []string) error {
	var last error
	for _, endpoint := range endpoints {
		address, err := url.Parse(endpoint)
		if err != nil {
			return err
		}
		connection, err := net.DialTimeout("tcp", address.Host, 10*time.Second)
		if err == nil {
			return connection.Close()
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return nil
		}
		last = err
	}
	return last
}

func (r *record) load(ctx context.Context, attempts int) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	found, err := r.client.Get(ctx, recordPrefix, clientv3.WithPrefix())
	if err != nil {
		return false, err
	}
	if len(found.Kvs) == 0 {
		return r.lock(ctx)
	}
	for _, one := range found.Kvs {
		switch {
		case string(one.Key) != r.key:
			continue
		case len(one.Value) > 0:
			return true, r.reconcile(one.Value)
		case attempts%lockAttempts == 0:
			log.Print("Bootstrap key lock timed out - deleting lock and retrying")
			_, err := r.client.Delete(ctx, r.key)
			return false, err
		default:
			log.Print("Bootstrap key is locked - waiting for data to be populated by another server")
			return false, nil
		}
	}
	return false, errors.New("bootstrap data already found and encrypted with different token")
}

func (r *record) lock(ctx context.Context) (bool, error) {
	absent := clientv3.Compare(clientv3.CreateRevision(r.key), "=", 0)
	answer, err := r.client.Txn(ctx).If(absent).Then(clientv3.OpPut(r.key, "")).Commit()
	if err != nil {
		return false, err
	}
	r.locked = answer.Succeeded
	return r.locked, nil
}

// reconcile gives the record precedence: over a folder that lacks something, and over files that differ and are not
// newer. Newer ones are refused.
func (r *record) reconcile(value []byte) error {
	files, err := opened(r.server.token, value)
	if err != nil {
		return err
	}
	log.Print("Reconciling bootstrap data between datastore and disk")
	var newer []string
	differs := !r.complete()
	for name, file := range files {
		path := r.server.folder(name)
		content, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) || (err == nil && bytes.Equal(content, file.Content)) {
			differs = differs || err != nil
			continue
		}
		if err != nil {
			return err
		}
		differs = true
		if info, err := os.Stat(path); err == nil && info.ModTime().Unix()-file.Timestamp.Unix() >= timeSkew {
			newer = append(newer, path)
		}
	}
	if r.complete() && len(newer) > 0 {
		return fmt.Errorf("%s newer than datastore and could cause a cluster outage. Remove the file(s) from disk "+
			"and restart to be recreated from datastore", strings.Join(newer, ", "))
	}
	if !differs {
		return nil
	}
	return r.write(files)
}

// complete tells whether each of the folders is there and holds something.
func (r *record) complete() bool {
	for _, folder := range []string{"cred", "tls", "tls/etcd"} {
		if entries, err := os.ReadDir(r.server.folder(folder)); err != nil || len(entries) == 0 {
			return false
		}
	}
	return true
}

func (r *record) write(files map[string]recordedFile) error {
	for name, file := range files {
		path := r.server.folder(name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return fmt.Errorf("failed to mkdir %s: %w", filepath.Dir(path), err)
		}
		// A file that is there keeps its mode, and must be writable by it.
		if err := os.WriteFile(path, file.Content, 0o600); err != nil {
			return fmt.Errorf("failed to write to %s: %w", path, err)
		}
		if err := os.Chtimes(path, file.Timestamp, file.Timestamp); err != nil {
			return err
		}
	}
	return nil
}

// save writes the record if this server has locked it, or if nobody has by now.
func (r *record) save(ctx context.Context) error {
	defer r.client.Close()
	if !r.locked {
		return nil
	}
	files := map[string]recordedFile{}
	for _, name := range recorded {
		path := r.server.folder(name)
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files[name] = recordedFile{info.ModTime(), content}
	}
	sealed, err := sealed(r.server.token, files)
	if err != nil {
		return err
	}
	found, err := r.client.Get(ctx, r.key)
	if err != nil {
		return err
	}
	if len(found.Kvs) > 0 && len(found.Kvs[0].Value) > 0 {
		log.Print("Bootstrap key already exists")
		return nil
	}
	_, err = r.client.Put(ctx, r.key, string(sealed))
	return err
}

const saltLength = 16

func aead(token string, salt []byte) (cipher.AEAD, error) {
	key, err := pbkdf2.Key(sha256.New, token, salt, 4096, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func sealed(token string, files map[string]recordedFile) ([]byte, error) {
	text, err := json.Marshal(files)
	if err != nil {
		return nil, err
	}
	salt := make([]byte, saltLength)
	_, _ = rand.Read(salt)
	box, err := aead(token, salt)
	if err != nil {
		return nil, err
	}
	return box.Seal(salt, nil, text, nil), nil
}

func opened(token string, value []byte) (map[string]recordedFile, error) {
	if len(value) < saltLength {
		return nil, errors.New("the bootstrap data is damaged")
	}
	box, err := aead(token, value[:saltLength])
	if err != nil {
		return nil, err
	}
	text, err := box.Open(nil, nil, value[saltLength:], nil)
	if err != nil {
		return nil, err
	}
	files := map[string]recordedFile{}
	return files, json.Unmarshal(text, &files)
}
