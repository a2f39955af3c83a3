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
export type ChannelKey = Schemas["ChannelKey"];
export type ChannelKeyInput = Schemas["ChannelKeyInput"];
export type ChannelSettings = Schemas["ChannelSettings"];
export type ChannelChange = Schemas["ChannelChange"];
export type NewHeader = Schemas["NewChannelHeader"];
export type ProbeBy = Channel["probe"];
export type ParameterOverride = Schemas["ParameterOverride"];
export type ModelStrategy = Schemas["ModelStrategy"];
export type ModelModality = Schemas["ModelModality"];
export type ModelCapability = Schemas["ModelCapability"];
export type Group = Schemas["UserGroup"];
export type NewGroup = Schemas["NewGroup"];
export type GroupPatch = Schemas["GroupPatch"];
export type PriceList = Schemas["PriceList"];
export type ImportPrices = Schemas["ImportPrices"];
export type ImportedPrices = Schemas["ImportedPrices"];
export type Statistics = Schemas["Statistics"];
export type StatisticsRow = Schemas["StatisticsRow"];
export type Figures = Schemas["Figures"];
export type RecordedCall = Schemas["RecordedCall"];
export type RecordedTry = Schemas["RecordedTry"];
export type NewModelPrice = Schemas["NewModelPrice"];
export type TestResult = Schemas["TrialResult"];
export type Account = Schemas["Account"];
export type Movement = Schemas["Movement"];
export type LoggedEvent = Schemas["LoggedEvent"];
export type Projection = Schemas["Projection"];
