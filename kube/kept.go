package kube

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/rainbond-exporter/rainbond-exporter/fault"
)

// The objects in which rainbond-operator keeps the region's address and
// certificates (controllers/handler/api.go).
const (
	regionConfig  = "region-config"
	clientSecret  = "rbd-api-client-cert"
	serverSecret  = "rbd-api-server-cert"
	addressKey    = "apiAddress"
	caKey         = "ca.pem"
	clientKey     = "client.pem"
	clientKeyKey  = "client.key.pem"
	serverKey     = "server.pem"
	serverKeyKey  = "server.key.pem"
	pemBegin      = "-----BEGIN "
	kindConfigMap = "ConfigMap"
	kindSecret    = "Secret"
)

// An object is a ConfigMap or Secret as we read it.
type object struct {
	kind, name, namespace string
	values                map[string][]byte
	missing               bool // there is no such object
}

// get returns the value of key, or why there is none: that is a finding.
func (o object) get(key string) ([]byte, error) {
	if o.missing {
		return nil, fmt.Errorf("%s %s does not exist in namespace %s", o.kind, o.name, o.namespace)
	}
	value, ok := o.values[key]
	if !ok {
		return nil, fmt.Errorf("%s %s in namespace %s has no key %s", o.kind, o.name, o.namespace, key)
	}
	return value, nil
}

// copy returns the certificate under key, and the private key under keyKey.
func (o object) copy(place fault.Place, kind fault.Kind, key, keyKey string) fault.Copy {
	c := fault.Copy{Place: place, Kind: kind}
	c.PEM, c.Err = o.get(key)
	c.Key = o.values[keyKey]
	return c
}

// Certificates returns the copies of the certificates that the cluster holds: those of
// ConfigMap region-config and of the two Secrets. An object or key that does
// not exist is a finding, and makes a Copy with Err. Being refused or not
// answered is an error, and what could be read all the same comes beside it.
func (k *Client) Certificates(ctx context.Context) ([]fault.Copy, error) {
	config, errConfig := k.configMap(ctx)
	client, errClient := k.secret(ctx, clientSecret)
	server, errServer := k.secret(ctx, serverSecret)
	var copies []fault.Copy
	if errConfig == nil {
		copies = append(copies, config.copy(fault.RegionConfig, fault.CA, caKey, ""), config.copy(fault.RegionConfig, fault.Client, clientKey, clientKeyKey))
	}
	if errClient == nil {
		copies = append(copies, client.copy(fault.ClientSecret, fault.CA, caKey, ""), client.copy(fault.ClientSecret, fault.Client, clientKey, clientKeyKey))
	}
	if errServer == nil {
		copies = append(copies, server.copy(fault.ServerSecret, fault.CA, caKey, ""), server.copy(fault.ServerSecret, fault.Server, serverKey, serverKeyKey))
	}
	return copies, errors.Join(errConfig, errClient, errServer)
}

// Region returns the region as ConfigMap region-config describes it, under the
// given name. What region-config lacks is a finding, told by Err. The Region
// beside an error bears its name and nothing else.
func (k *Client) Region(ctx context.Context, name string) (fault.Region, error) {
	r := fault.Region{Name: name, Place: fault.RegionConfig}
	config, err := k.configMap(ctx)
	if err != nil {
		return r, err
	}
	if config.missing {
		_, r.Err = config.get(addressKey)
		return r, nil
	}
	var errs []error
	get := func(key string) []byte {
		value, err := config.get(key)
		errs = append(errs, err)
		return value
	}
	r.URL = string(bytes.TrimSpace(get(addressKey)))
	r.CA, r.Cert, r.Key = get(caKey), get(clientKey), get(clientKeyKey)
	r.Err = errors.Join(errs...)
	return r, nil
}

func (k *Client) configMap(ctx context.Context) (object, error) {
	o := object{kind: kindConfigMap, name: regionConfig, namespace: k.namespace, values: map[string][]byte{}}
	var found corev1.ConfigMap
	if err := k.api.configMaps(k.namespace).Get(ctx, regionConfig, &found); err != nil {
		return k.unread(o, "configmaps", err)
	}
	for key, value := range found.Data {
		o.values[key] = unpasted([]byte(value))
	}
	for key, value := range found.BinaryData { // where the operator puts them
		o.values[key] = value
	}
	return o, nil
}

func (k *Client) secret(ctx context.Context, name string) (object, error) {
	o := object{kind: kindSecret, name: name, namespace: k.namespace}
	var found corev1.Secret
	if err := k.api.secrets(k.namespace).Get(ctx, name, &found); err != nil {
		return k.unread(o, "secrets", err)
	}
	o.values = found.Data
	return o, nil
}

// unread tells an object that does not exist from one that may not or cannot
// be read.
func (k *Client) unread(o object, resource string, err error) (object, error) {
	if apierrors.IsNotFound(err) {
		o.missing = true
		return o, nil
	}
	return o, explain(k.host, "get "+o.kind+" "+o.name, fmt.Sprintf("get on %s %s in namespace %s", resource, o.name, o.namespace), err)
}

// unpasted undoes base64 around a PEM: people who move the values of
// binaryData, which kubectl shows in base64, into data paste them so.
func unpasted(value []byte) []byte {
	if bytes.Contains(value, []byte(pemBegin)) {
		return value
	}
	packed := bytes.Join(bytes.Fields(value), nil)
	decoded, err := base64.StdEncoding.AppendDecode(nil, packed)
	if err != nil || !bytes.Contains(decoded, []byte(pemBegin)) {
		return value
	}
	return decoded
}
