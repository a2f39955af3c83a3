//! Accounts, the devices signed in to them, and the names that only one of them may have.

pub mod api_key;
pub mod device;
pub mod names;
pub mod registration;
pub mod reservation;
pub mod user;

pub use api_key::{ApiKey, ApiKeyCommand, ApiKeyEvent, ApiKeyRefusal, Scope};
pub use device::{Device, DeviceCommand, DeviceEvent, DeviceRefusal};
pub use names::{EmailAddress, InvalidName, UserName, WeakPassword, check_password};
pub use registration::{Applicant, RegisterUser};
pub use reservation::{NameKind, Reservation, ReservationCommand, ReservationEvent, ReservationRefusal};
pub use user::{Role, User, UserCommand, UserEvent, UserRefusal};
