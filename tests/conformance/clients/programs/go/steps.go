// The AWS SDK for Go v2, by steps: `steps STEP…`; prints what each saw as JSON. See ../boto3_steps.py for the steps.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/s3/manager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

const (
	prefix = "go/"
	part   = 5 << 20
)

type seen = map[string]any

var (
	ctx       = context.Background()
	bucket    = aws.String(os.Getenv("BUCKET"))
	secret    = aws.String(os.Getenv("SECRET"))
	parameter = os.Getenv("PARAMETER")
	settings  aws.Config
)

func main() {
	settings = must(config.LoadDefaultConfig(ctx))
	steps := map[string]func() any{
		"who": who, "objects": objects, "large": large, "streamed": streamed, "presigned": presigned,
		"secrets": secrets, "parameters": parameters, "denied": denied, "unserved": unserved, "put": put,
		"retried": retried,
	}
	found := seen{}
	for _, name := range os.Args[1:] {
		found[name] = outcome(steps[name])
	}
	fmt.Println(string(must(json.Marshal(found))))
}

// One step that fails leaves the others.
func outcome(step func() any) (found any) {
	defer func() {
		if failed := recover(); failed != nil {
			found = seen{"failed": fmt.Sprint(failed)}
		}
	}()
	return step()
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func code(_ any, err error) string {
	var found smithy.APIError
	if errors.As(err, &found) {
		return found.ErrorCode()
	}
	if err != nil {
		return err.Error()
	}
	return "Success"
}

func storage() *s3.Client {
	return s3.NewFromConfig(settings, func(o *s3.Options) { o.UsePathStyle = true })
}

func get(client *s3.Client, key, span string) (string, map[string]string) {
	input := &s3.GetObjectInput{Bucket: bucket, Key: &key}
	if span != "" {
		input.Range = &span
	}
	answer := must(client.GetObject(ctx, input))
	return string(must(io.ReadAll(answer.Body))), answer.Metadata
}

func missing(client *s3.Client, key string) string {
	return code(client.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: &key}))
}

func who() any {
	answer := must(sts.NewFromConfig(settings).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}))
	return seen{"arn": *answer.Arn}
}

func objects() any {
	client, key := storage(), prefix+"a b+ü/%41.txt"
	must(client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: bucket, Key: &key, Body: strings.NewReader("hello"), Metadata: map[string]string{"team": "blue"},
	}))
	read, metadata := get(client, key, "")
	span, _ := get(client, key, "bytes=1-2")
	page := must(client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bucket, Prefix: aws.String(prefix + "a")}))
	listed := []bool{}
	for _, one := range page.Contents {
		listed = append(listed, *one.Key == key)
	}
	found := seen{
		"read": read, "metadata": metadata, "range": span, "listed": listed,
		"missing": missing(client, prefix+"none"),
		"exists": code(client.PutObject(ctx, &s3.PutObjectInput{
			Bucket: bucket, Key: &key, Body: strings.NewReader(""), IfNoneMatch: aws.String("*"),
		})),
		"no_bucket": code(client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String("nobody-has-made-this")})),
	}
	must(client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: &key}))
	found["after"] = missing(client, key)
	return found
}

func large() any {
	client, key, body := storage(), prefix+"large", make([]byte, 2*part+1)
	must(rand.Read(body))
	up := manager.NewUploader(client, func(u *manager.Uploader) { u.PartSize = part })
	must(up.Upload(ctx, &s3.PutObjectInput{Bucket: bucket, Key: &key, Body: bytes.NewReader(body)}))
	answer := must(client.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: &key}))
	back := must(io.ReadAll(answer.Body))
	_, parts, _ := strings.Cut(strings.Trim(*answer.ETag, `"`), "-")
	return seen{"same": sha256.Sum256(back) == sha256.Sum256(body), "parts": parts}
}

// Over plain HTTP the SDK wants a source that it can read twice; the uploader buffers one that it cannot.
func streamed() any {
	client, key := storage(), prefix+"streamed"
	source := io.MultiReader(strings.NewReader(strings.Repeat("s", 35000)), strings.NewReader(strings.Repeat("s", 35000)))
	must(manager.NewUploader(client).Upload(ctx, &s3.PutObjectInput{Bucket: bucket, Key: &key, Body: source}))
	answer := must(client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: &key}))
	return seen{"size": *answer.ContentLength}
}

func presigned() any {
	signer, key := s3.NewPresignClient(storage()), prefix+"presigned"
	put := must(signer.PresignPutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: &key}))
	request := must(http.NewRequest(put.Method, put.URL, strings.NewReader("by url")))
	status := must(http.DefaultClient.Do(request)).StatusCode
	answer := must(http.Get(must(signer.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: &key})).URL))
	return seen{"put": status, "get": string(must(io.ReadAll(answer.Body)))}
}

func secrets() any {
	client := secretsmanager.NewFromConfig(settings)
	one := must(client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: secret}))
	none := &secretsmanager.GetSecretValueInput{SecretId: aws.String("no-such-secret")}
	return seen{"value": *one.SecretString, "missing": code(client.GetSecretValue(ctx, none))}
}

func parameters() any {
	client, yes := ssm.NewFromConfig(settings), aws.Bool(true)
	one := must(client.GetParameter(ctx, &ssm.GetParameterInput{Name: &parameter, WithDecryption: yes}))
	asked := &ssm.GetParametersInput{Names: []string{parameter, "no-such"}, WithDecryption: yes}
	many := must(client.GetParameters(ctx, asked))
	values := []string{}
	for _, each := range many.Parameters {
		values = append(values, *each.Value)
	}
	return seen{
		"value": *one.Parameter.Value, "many": values, "invalid": many.InvalidParameters,
		"missing": code(client.GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String("no-such")})),
	}
}

func denied() any {
	forbidden := aws.String("forbidden")
	keeper, store := secretsmanager.NewFromConfig(settings), ssm.NewFromConfig(settings)
	return seen{
		"s3":             missing(storage(), "forbidden/x"),
		"secretsmanager": code(keeper.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: forbidden})),
		"ssm":            code(store.GetParameter(ctx, &ssm.GetParameterInput{Name: forbidden})),
	}
}

func unserved() any {
	return seen{
		"s3":  code(storage().GetObjectTorrent(ctx, &s3.GetObjectTorrentInput{Bucket: bucket, Key: aws.String("any")})),
		"ssm": code(ssm.NewFromConfig(settings).ListDocuments(ctx, &ssm.ListDocumentsInput{})),
	}
}

func put() any {
	input := &s3.PutObjectInput{Bucket: bucket, Key: aws.String(prefix + "put"), Body: strings.NewReader("once")}
	must(storage().PutObject(ctx, input))
	return "Success"
}

func retried() any {
	client, key := storage(), aws.String(prefix+"retried")
	must(client.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: key, Body: strings.NewReader("once")}))
	read, _ := get(client, *key, "")
	size := must(client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: key})).ContentLength
	listed := must(client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bucket, Prefix: key})).KeyCount
	must(client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: key}))
	return seen{"read": read, "size": *size, "listed": *listed}
}
