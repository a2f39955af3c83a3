import { expect, test } from "vitest";
import { ApiError } from "@/api/problem";
import { place, placeOf } from "./placement";

const names = ["gpt-4.1", "gpt-4.1-mini", "cached"];

test("fields of the server are found on the form, however the path is written", () => {
  const places = {
    base_url: "base_url",
    "prices.gpt-4.1.input": "models.0.prices.input",
    "prices.gpt-4.1-mini.cached_input": "models.1.prices.cached_input",
    'costs["gpt-4.1"].reasoning': "models.0.costs.reasoning",
    "prices.cached": "models.2.prices.input",
    "prices/gpt-4.1-mini": "models.1.prices.input",
    "keys/0": "keys",
    "models[1].name": "models.1.name",
    "models.0.upstream": "models.0.upstream",
    "/models/2/context_tokens": "models.2.context_tokens",
    models: "models",
    "prices.unheard": "models",
    "models[9].name": "models",
  };
  for (const [field, at] of Object.entries(places)) expect([field, placeOf(field, names)]).toEqual([field, at]);
  expect(placeOf("color", names)).toBeNull();
});

test("a complaint about a field stands at the field, and nowhere else", () => {
  const fields = [{ field: "prices.gpt-4.1.output", code: "invalid_price", message: "too fine" }];
  const error = new ApiError(422, "invalid_price", "too fine", "r", fields);
  expect(place(error, names)).toEqual({
    fields: { "models.0.prices.output": { code: "invalid_price", detail: "too fine" } },
    rest: null,
  });
});

test("a refusal about one model stands at that model", () => {
  const about = (field: string, code: string): ApiError =>
    new ApiError(422, code, "no", "r", [{ field, code, message: "no" }], null, { model: "gpt-4.1-mini" });
  expect(Object.keys(place(about("prices", "price_missing"), names).fields)).toEqual(["models.1.prices.input"]);
  expect(Object.keys(place(about("models", "invalid_model"), names).fields)).toEqual(["models.1.name"]);
  expect(Object.keys(place(about("models", "no_models"), []).fields)).toEqual(["models"]);
});

test("a code that implies its field needs no list", () => {
  const error = new ApiError(422, "address_not_allowed", "link-local", "r");
  expect(place(error, names)).toEqual({ fields: { base_url: { code: "address_not_allowed", detail: "link-local" } }, rest: null });
});

test("what belongs to no field is not lost", () => {
  const known = { field: "name", code: "invalid_name", message: "long" };
  const error = new ApiError(422, "invalid_name", "long", "r", [known, { field: "color", code: "x", message: "y" }]);
  expect(place(error, names).rest).toEqual({ code: "invalid_name", detail: "long" });
  expect(place(new ApiError(503, "queue_full", "busy", "r"), names)).toEqual({
    fields: {},
    rest: { code: "queue_full", detail: "busy" },
  });
});
