// The AWS SDK for JavaScript v3, by steps: `node steps.mjs STEP…`; prints what each saw as JSON.
// See ../boto3_steps.py for the steps. The packages lie beside a copy of this file, where `make tools` puts both.

import { createHash, randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import {
  DeleteObjectCommand,
  GetObjectCommand,
  GetObjectTorrentCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { GetSecretValueCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { GetParameterCommand, GetParametersCommand, ListDocumentsCommand, SSMClient } from "@aws-sdk/client-ssm";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";

const { BUCKET: Bucket, SECRET, PARAMETER } = process.env;
const PREFIX = "javascript/";
const PART = 5 * 2 ** 20;
const s3 = () => new S3Client({ forcePathStyle: true });

async function code(client, command) {
  try {
    await client.send(command);
  } catch (error) {
    return error.name;
  }
  return "Success";
}

const text = async (answer) => answer.Body.transformToString();

const steps = {
  async who() {
    return { arn: (await new STSClient().send(new GetCallerIdentityCommand())).Arn };
  },

  async objects() {
    const client = s3();
    const Key = PREFIX + "a b+ü/%41.txt";
    await client.send(new PutObjectCommand({ Bucket, Key, Body: "hello", Metadata: { team: "blue" } }));
    const got = await client.send(new GetObjectCommand({ Bucket, Key }));
    const listed = await client.send(new ListObjectsV2Command({ Bucket, Prefix: PREFIX + "a" }));
    const found = {
      read: await text(got),
      metadata: got.Metadata,
      range: await text(await client.send(new GetObjectCommand({ Bucket, Key, Range: "bytes=1-2" }))),
      listed: listed.Contents.map((one) => one.Key === Key),
      missing: await code(client, new GetObjectCommand({ Bucket, Key: PREFIX + "none" })),
      exists: await code(client, new PutObjectCommand({ Bucket, Key, Body: "", IfNoneMatch: "*" })),
      no_bucket: await code(client, new ListObjectsV2Command({ Bucket: "nobody-has-made-this" })),
    };
    await client.send(new DeleteObjectCommand({ Bucket, Key }));
    return { ...found, after: await code(client, new GetObjectCommand({ Bucket, Key })) };
  },

  async large() {
    const client = s3();
    const body = randomBytes(2 * PART + 1);
    const Key = PREFIX + "large";
    await new Upload({ client, params: { Bucket, Key, Body: Readable.from(body) }, partSize: PART }).done();
    const got = await client.send(new GetObjectCommand({ Bucket, Key }));
    const back = Buffer.from(await got.Body.transformToByteArray());
    const hash = (bytes) => createHash("sha256").update(bytes).digest("hex");
    return { same: hash(back) === hash(body), parts: got.ETag.replaceAll('"', "").split("-")[1] };
  },

  async streamed() {
    const client = s3();
    const Key = PREFIX + "streamed";
    const Body = Readable.from(["s".repeat(35000), "s".repeat(35000)].map((one) => Buffer.from(one)));
    await client.send(new PutObjectCommand({ Bucket, Key, Body, ContentLength: 70000 }));
    return { size: (await client.send(new HeadObjectCommand({ Bucket, Key }))).ContentLength };
  },

  async presigned() {
    const place = { Bucket, Key: PREFIX + "presigned" };
    const put = await fetch(await getSignedUrl(s3(), new PutObjectCommand(place)), { method: "PUT", body: "by url" });
    const get = await fetch(await getSignedUrl(s3(), new GetObjectCommand(place)));
    return { put: put.status, get: await get.text() };
  },

  async secrets() {
    const client = new SecretsManagerClient();
    return {
      value: (await client.send(new GetSecretValueCommand({ SecretId: SECRET }))).SecretString,
      missing: await code(client, new GetSecretValueCommand({ SecretId: "no-such-secret" })),
    };
  },

  async parameters() {
    const client = new SSMClient();
    const Names = [PARAMETER, "no-such"];
    const many = await client.send(new GetParametersCommand({ Names, WithDecryption: true }));
    const one = await client.send(new GetParameterCommand({ Name: PARAMETER, WithDecryption: true }));
    return {
      value: one.Parameter.Value,
      many: many.Parameters.map((each) => each.Value),
      invalid: many.InvalidParameters,
      missing: await code(client, new GetParameterCommand({ Name: "no-such" })),
    };
  },

  async denied() {
    return {
      s3: await code(s3(), new GetObjectCommand({ Bucket, Key: "forbidden/x" })),
      secretsmanager: await code(new SecretsManagerClient(), new GetSecretValueCommand({ SecretId: "forbidden" })),
      ssm: await code(new SSMClient(), new GetParameterCommand({ Name: "forbidden" })),
    };
  },

  async unserved() {
    return {
      s3: await code(s3(), new GetObjectTorrentCommand({ Bucket, Key: "any" })),
      ssm: await code(new SSMClient(), new ListDocumentsCommand()),
    };
  },

  async put() {
    await s3().send(new PutObjectCommand({ Bucket, Key: PREFIX + "put", Body: "once" }));
    return "Success";
  },

  async retried() {
    const client = s3();
    const place = { Bucket, Key: PREFIX + "retried" };
    await client.send(new PutObjectCommand({ ...place, Body: "once" }));
    const read = await text(await client.send(new GetObjectCommand(place)));
    const size = (await client.send(new HeadObjectCommand(place))).ContentLength;
    const listed = (await client.send(new ListObjectsV2Command({ Bucket, Prefix: place.Key }))).KeyCount;
    await client.send(new DeleteObjectCommand(place));
    return { read, size, listed };
  },
};

const found = {};
for (const name of process.argv.slice(2)) {
  // One step that fails leaves the others.
  found[name] = await steps[name]().catch((error) => ({ failed: `${error.name}: ${error.message}` }));
}
console.log(JSON.stringify(found));
