// Ask a server from Node: `node node.mjs GRPC_ADDRESS`.
import { fileURLToPath } from "node:url";
import path from "node:path";
import grpc from "@grpc/grpc-js";
import protobuf from "protobufjs";

const proto = path.join(path.dirname(fileURLToPath(import.meta.url)), "../../../serving/wire/serving.proto");
const wire = protobuf.loadSync(proto).lookup("easel.wire");
const Request = wire.lookupType("PredictRequest");
const Response = wire.lookupType("PredictResponse");

const client = new grpc.Client(process.argv[2], grpc.credentials.createInsecure());
const x = { dtype: 1, tensorShape: { dim: [{ size: 2 }] }, floatVal: [1, 2] };
client.makeUnaryRequest(
  "/tensorflow.serving.PredictionService/Predict",
  (message) => Buffer.from(Request.encode(message).finish()),
  (bytes) => Response.decode(bytes),
  Request.create({ modelSpec: { name: "half_plus_two" }, inputs: { x } }),
  { deadline: Date.now() + 10_000 },
  (error, response) => {
    if (error) throw error;
    const { outputs, modelSpec } = Response.toObject(response, { longs: Number });
    console.log(JSON.stringify({ y: outputs.y.floatVal, version: modelSpec.version.value }));
    client.close();
  },
);
