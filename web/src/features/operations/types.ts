/** The server's shapes that only operators see, under short names. They come from `docs/openapi.json`. */
import type { components } from "@/api/schema";

type Schemas = components["schemas"];

export type Rates = Schemas["Rates"];
export type Provider = Schemas["ChannelProvider"];
export type Channel = Schemas["Channel"];
export type ChannelModel = Schemas["ChannelModel"];
export type ChannelPatch = Schemas["ChannelPatch"];
export type NewChannel = Schemas["NewChannel"];
export type NewModel = Schemas["NewModel"];
export type TestResult = Schemas["TrialResult"];
export type Account = Schemas["Account"];
export type Movement = Schemas["Movement"];
export type LoggedEvent = Schemas["LoggedEvent"];
export type Projection = Schemas["Projection"];
