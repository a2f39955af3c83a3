//! Accounts and devices as the login reads them.

use domain::{
    DeviceId, Sealed, UserId,
    users::{Device, DeviceEvent, NameKind, Reservation, ReservationEvent, Role, User, UserEvent},
};
use projections::users::{self, UsersProjector};
use serde_json::json;
use uuid::Uuid;

use crate::support::{World, at, user, world};

/// Registers `name` with its e-mail reservation; answers the keyed hash of the address.
async fn register(world: &World, id: UserId, name: &str) -> String {
    let sealed = |text: String| Sealed::new(id, text);
    let email = format!("{name}@example.org");
    let hash = world.vault.name_hash("email", &email);
    let registered = UserEvent::Registered {
        email: sealed(email),
        username: sealed(name.to_owned()),
        password_hash: sealed(format!("$argon2id$of-{name}")),
        role: Role::Admin,
        at: at(1),
    };
    world.append::<User>(id, registered).await;
    let claimed = ReservationEvent::Claimed { kind: NameKind::Email, holder: id };
    world.append::<Reservation>(&hash, claimed).await;
    hash
}

#[tokio::test]
async fn an_account_is_found_by_the_hash_of_its_address_and_reads_as_the_contract_says() {
    let world = world().await;
    let ann = user();
    let hash = register(&world, ann, "ann").await;
    let claimed = ReservationEvent::Claimed { kind: NameKind::Username, holder: ann };
    world.append::<Reservation>("username:ann", claimed).await;
    world.project(&UsersProjector).await;

    let found = users::by_email_hash(&world.pool, &hash).await.unwrap().unwrap();
    assert_eq!(found.password_hash, "$argon2id$of-ann");
    let row = users::user(&world.pool, ann.uuid()).await.unwrap().unwrap();
    assert_eq!(found.user, row);
    assert_eq!(
        serde_json::to_value(&row).unwrap(),
        json!({"id": ann, "email": "ann@example.org", "username": "ann", "role": "admin", "created_at": at(1)})
    );
    // A user name opens no account, nor does an address that nobody has.
    assert!(users::by_email_hash(&world.pool, "username:ann").await.unwrap().is_none());
    assert!(users::by_email_hash(&world.pool, "email:0").await.unwrap().is_none());
    assert!(users::user(&world.pool, Uuid::now_v7()).await.unwrap().is_none());
}

#[tokio::test]
async fn an_address_that_was_given_back_opens_the_account_of_its_next_holder() {
    let world = world().await;
    let (ann, bob) = (user(), user());
    let hash = register(&world, ann, "ann").await;
    register(&world, bob, "bob").await;
    world.append::<Reservation>(&hash, ReservationEvent::Released { holder: ann }).await;
    world.project(&UsersProjector).await;
    assert!(users::by_email_hash(&world.pool, &hash).await.unwrap().is_none());

    world.append::<Reservation>(&hash, ReservationEvent::Claimed { kind: NameKind::Email, holder: bob }).await;
    world.project(&UsersProjector).await;
    let found = users::by_email_hash(&world.pool, &hash).await.unwrap().unwrap();
    assert_eq!(found.user.id, bob.uuid());
}

#[tokio::test]
async fn credentials_and_accounts_never_print_personal_data() {
    let world = world().await;
    let ann = user();
    let hash = register(&world, ann, "ann").await;
    world.project(&UsersProjector).await;
    let printed = format!("{:?}", users::by_email_hash(&world.pool, &hash).await.unwrap());
    assert!(!printed.contains("argon2") && !printed.contains("ann"), "{printed}");
}

#[tokio::test]
async fn an_erased_account_keeps_its_id_and_nothing_personal() {
    let world = world().await;
    let ann = user();
    let hash = register(&world, ann, "ann").await;
    world.vault.destroy(ann.uuid()).await.unwrap();
    world.project(&UsersProjector).await;
    let found = users::by_email_hash(&world.pool, &hash).await.unwrap().unwrap();
    assert_eq!((found.user.email.as_str(), found.user.username.as_str(), found.password_hash.as_str()), ("", "", ""));
}

#[tokio::test]
async fn a_device_is_signed_in_until_it_is_signed_out_or_a_spent_token_comes_back() {
    let world = world().await;
    let [kept, left, stolen] = [(); 3].map(|()| DeviceId::new(Uuid::now_v7()));
    let ann = user();
    for device in [kept, left, stolen] {
        world.append::<Device>(device, DeviceEvent::SignedIn { user: ann, at: at(1) }).await;
        world.append::<Device>(device, DeviceEvent::Rotated { generation: 1, at: at(5) }).await;
    }
    world.append::<Device>(left, DeviceEvent::SignedOut { at: at(6) }).await;
    world.append::<Device>(stolen, DeviceEvent::ReuseDetected { generation: 0, at: at(7) }).await;
    world.project(&UsersProjector).await;

    let ended = async |device: DeviceId| users::device_ended(&world.pool, device.uuid()).await.unwrap();
    assert_eq!([ended(kept).await, ended(left).await, ended(stolen).await], [Some(false), Some(true), Some(true)]);
    assert_eq!(ended(DeviceId::new(Uuid::now_v7())).await, None);
    let rows: Vec<(Uuid, chrono::DateTime<chrono::Utc>, Option<String>)> =
        sqlx::query_as("SELECT id, last_seen_at, end_reason FROM users_v1.devices ORDER BY id")
            .fetch_all(&world.pool)
            .await
            .unwrap();
    let reason = |text: &str| Some(text.to_owned());
    assert_eq!(
        rows,
        [
            (kept.uuid(), at(5), None),
            (left.uuid(), at(6), reason("signed_out")),
            // The thief's visit is no sign of life of the device.
            (stolen.uuid(), at(5), reason("reuse_detected")),
        ]
    );
}
