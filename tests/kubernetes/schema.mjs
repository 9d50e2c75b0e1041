// schema - are these Kubernetes objects such as the API server takes? Without a server: kubernetes-models knows types and values but lets
// unknown fields through; @kubernetes/client-node's type maps know the fields of what is no custom resource, a table here those of others.
// Usage: node schema.mjs MODULES < objects.json (a list). Writes a line for each fault. Exit codes: 0 all well, 1 faults.
import { existsSync, readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import path from "node:path";

const modules = path.resolve(process.argv[2]);
const file = (name) => path.join(modules, "node_modules", name);
const load = (name) => import(pathToFileURL(file(name)).href);
// The models alone: the package as a whole wants a newer Node than Debian 12 has.
const client = await load("@kubernetes/client-node/dist/gen/models/ObjectSerializer.js");
const packages = ["kubernetes-models", "@kubernetes-models/keda", "@kubernetes-models/prometheus-operator"];

async function modelOf(object) {
  for (const name of packages)
    for (const ending of ["mjs", "js"]) {
      const model = `${name}/${object.apiVersion}/${object.kind}.${ending}`;
      if (existsSync(file(model))) return (await load(model))[object.kind];
    }
  return undefined;
}

// The client's name of a type: V1Deployment, V2HorizontalPodAutoscaler.
function classOf(object) {
  const version = object.apiVersion.split("/").pop();
  return client[version[0].toUpperCase() + version.slice(1) + object.kind];
}

const plain = new Set(["string", "number", "boolean", "any", "object", "IntOrString", "Date", "V1MicroTime"]);

function unknownFields(value, type, where, faults) {
  if (value === null || value === undefined || plain.has(type)) return;
  const list = /^Array<(.*)>$/.exec(type);
  const map = /^\{ \[key: string\]: (.*); \}$/.exec(type);
  if (list) {
    if (!Array.isArray(value)) faults.push(`${where} is no list`);
    else value.forEach((each, index) => unknownFields(each, list[1], `${where}[${index}]`, faults));
  } else if (map) {
    for (const [key, each] of Object.entries(value)) unknownFields(each, map[1], `${where}.${key}`, faults);
  } else if (client[type]?.getAttributeTypeMap) {
    const fields = new Map(client[type].getAttributeTypeMap().map((field) => [field.baseName, field.type]));
    for (const [key, each] of Object.entries(value)) {
      if (!fields.has(key)) faults.push(`${where}.${key}: there is no such field`);
      else unknownFields(each, fields.get(key), `${where}.${key}`, faults);
    }
  } else faults.push(`${where}: the check does not know the type ${type}`);
}

// Names of resources are free text to both.
function resourceNames(value, where, faults) {
  if (value === null || typeof value !== "object") return;
  for (const [key, each] of Object.entries(value)) {
    if (key === "resources" && each && typeof each === "object")
      for (const part of ["requests", "limits"])
        for (const name of Object.keys(each[part] ?? {}))
          if (!["cpu", "memory", "storage", "ephemeral-storage"].includes(name)) faults.push(`${where}.${key}.${part}.${name}: there is no such resource`);
    resourceNames(each, `${where}.${key}`, faults);
  }
}

// Fields of custom resources that are in use here; their models let unknown ones through, and the client does not know them. null: any.
const rules = { policies: [{ type: null, value: null, periodSeconds: null }], stabilizationWindowSeconds: null, selectPolicy: null };
const endpoint = { port: null, path: null, interval: null, scrapeTimeout: null, relabelings: null, metricRelabelings: null };
const custom = {
  ScaledObject: {
    scaleTargetRef: { apiVersion: null, kind: null, name: null },
    minReplicaCount: null, maxReplicaCount: null, pollingInterval: null, cooldownPeriod: null,
    fallback: { failureThreshold: null, replicas: null },
    advanced: { horizontalPodAutoscalerConfig: { behavior: { scaleUp: rules, scaleDown: rules } } },
    triggers: [{ type: null, metricType: null, metadata: { serverAddress: null, query: null, threshold: null } }],
  },
  PodMonitor: { jobLabel: null, selector: null, podTargetLabels: null, podMetricsEndpoints: [endpoint] },
  PrometheusRule: {
    groups: [{ name: null, interval: null, rules: [{ alert: null, record: null, expr: null, for: null, labels: null, annotations: null, keep_firing_for: null }] }],
  },
};

function unknownCustom(value, known, where, faults) {
  if (known === null || value === null || typeof value !== "object") return;
  if (Array.isArray(value)) value.forEach((each, index) => unknownCustom(each, known[0], `${where}[${index}]`, faults));
  else
    for (const [key, each] of Object.entries(value))
      if (key in known) unknownCustom(each, known[key], `${where}.${key}`, faults);
      else faults.push(`${where}.${key}: there is no such field, or this check does not know it`);
}

async function check(object, faults) {
  const where = `${object.kind} ${object.metadata?.name}`;
  const Model = await modelOf(object);
  if (!Model) {
    faults.push(`${where}: ${object.apiVersion} has no such kind`);
    return;
  }
  try {
    new Model(object).validate();
  } catch (error) {
    faults.push(`${where}: ${error.message.replaceAll("\n", " ")}`);
  }
  const own = classOf(object);
  if (own) unknownFields(object, own.name, where, faults);
  else if (custom[object.kind]) unknownCustom(object.spec, custom[object.kind], `${where}.spec`, faults);
  else faults.push(`${where}: this check does not know the fields of its kind`);
  resourceNames(object, where, faults);
}

const faults = [];
for (const object of JSON.parse(readFileSync(0, "utf8"))) await check(object, faults);
for (const fault of faults) console.log(fault);
process.exit(faults.length > 0 ? 1 : 0);
