//! A month of Gatehouse beside one of Cognito and Auth0, and from how many users on it costs less.

use crate::cost::dollars;
use crate::prices::{
    AUTH0_ESSENTIALS, AUTH0_FREE_USERS, AUTH0_PROFESSIONAL, AUTH0_STEP, COGNITO_ESSENTIALS_USER, COGNITO_FREE_USERS,
    COGNITO_LITE_USER, COGNITO_PLUS_USER, SECRET_CALLS,
};
use crate::table;

/// The users that the comparison is for.
const USERS: [u32; 3] = [1_000, 10_000, 100_000];
/// Up to so many users it is looked for where one becomes cheaper than the other.
const MOST: u32 = 1_000_000;
/// What each user does in a month.
const SIGN_INS: f64 = 10.0;
const WRONG_PASSWORDS: f64 = 1.0;
const REFRESHES: f64 = 40.0;
const CALLS: f64 = 300.0;
/// The minutes of a month, in each of which an instance of login reads its secret once at the most.
const MINUTES: f64 = 43_800.0;
/// Assumed: how many of all calls of a function are an instance's first. AWS says fewer than one in a hundred.
const FIRST: f64 = 0.01;

/// What Gatehouse costs, in dollars for a million of each; what is a request of its own is with API Gateway's price.
pub(crate) struct Prices {
    pub(crate) sign_in: f64,
    pub(crate) wrong_password: f64,
    pub(crate) refresh: f64,
    /// Of the authorizer, without the request that it is asked about.
    pub(crate) check: f64,
    /// What an instance's first call costs more, of login.
    pub(crate) first_of_login: f64,
    /// The same of the authorizer.
    pub(crate) first_of_authorizer: f64,
    /// Dollars a month for the stack itself, in use.
    pub(crate) stack: f64,
}

/// Dollars a month for so many users; `None` where that many can't be had.
type Price = fn(f64) -> Option<f64>;

const OTHERS: [(&str, Price); 6] = [
    ("Cognito Lite", |users| Some(beyond_free(users) * COGNITO_LITE_USER)),
    ("Cognito Essentials", |users| Some(beyond_free(users) * COGNITO_ESSENTIALS_USER)),
    ("Cognito Plus", |users| Some(users * COGNITO_PLUS_USER)),
    ("Auth0 Free", |users| (users <= AUTH0_FREE_USERS).then_some(0.0)),
    ("Auth0 Essentials, at the rate of its first 500 users", |users| Some(steps(users) * AUTH0_ESSENTIALS)),
    ("Auth0 Professional, at the rate of its first 500 users", |users| Some(steps(users) * AUTH0_PROFESSIONAL)),
];

impl Prices {
    /// The parts of a month for so many users.
    fn parts(&self, users: f64) -> [(&'static str, f64); 7] {
        let of = |each: f64, price: f64| users * each / 1e6 * price;
        let of_login = SIGN_INS + WRONG_PASSWORDS + REFRESHES;
        [
            ("Gatehouse: sign-ins", of(SIGN_INS, self.sign_in)),
            ("Gatehouse: wrong passwords", of(WRONG_PASSWORDS, self.wrong_password)),
            ("Gatehouse: refreshes", of(REFRESHES, self.refresh)),
            ("Gatehouse: the authorizer", of(CALLS, self.check)),
            (
                "Gatehouse: first calls of instances",
                of(of_login * FIRST, self.first_of_login) + of(CALLS * FIRST, self.first_of_authorizer),
            ),
            (
                "Gatehouse: reads of the secret, by one instance at a time",
                (users * of_login).min(MINUTES) / 1e4 * SECRET_CALLS,
            ),
            ("Gatehouse: the stack, by the month", self.stack),
        ]
    }

    fn all(&self, users: f64) -> f64 {
        self.parts(users).into_iter().map(|(_, price)| price).sum()
    }

    /// The smallest number of users for which another price is more.
    fn turns(&self, other: Price) -> Option<u32> {
        (1..=MOST).find(|users| other(f64::from(*users)).is_none_or(|price| price > self.all(f64::from(*users))))
    }
}

/// The tables.
pub(crate) fn tables(text: &mut String, prices: &Prices) {
    let parts = prices.parts(0.0).into_iter().enumerate();
    let parts = parts.map(|(index, (what, _))| row(what, |users| Some(prices.parts(users)[index].1)));
    let sum = row("Gatehouse, in all", |users| Some(prices.all(users)));
    let others = OTHERS.into_iter().map(|(what, price)| row(what, price));
    let heads = ["dollars a month", "1,000 users", "10,000 users", "100,000 users"];
    table::write(text, heads, parts.chain([sum]).chain(others));

    let turns = OTHERS.into_iter().map(|(what, price)| {
        let users = prices.turns(price).map_or_else(|| format!("more than {MOST}"), |users| users.to_string());
        [what.to_owned(), users]
    });
    table::write(text, ["Gatehouse costs less than", "from so many users on"], turns);
}

fn row(what: &str, price: impl Fn(f64) -> Option<f64>) -> [String; 4] {
    let [few, some, many] = USERS.map(|users| price(f64::from(users)).map_or("-".to_owned(), dollars));
    [what.to_owned(), few, some, many]
}

fn beyond_free(users: f64) -> f64 {
    (users - COGNITO_FREE_USERS).max(0.0)
}

/// How often the price of the first step is paid.
fn steps(users: f64) -> f64 {
    (users / AUTH0_STEP).ceil()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICES: Prices = Prices {
        sign_in: 10.0,
        wrong_password: 10.0,
        refresh: 10.0,
        check: 1.0,
        first_of_login: 1.0,
        first_of_authorizer: 1.0,
        stack: 4.0,
    };

    /// Millionths of a dollar for a user: 510 for sign-ins, wrong passwords and refreshes, 300 for calls, and 3.51 for
    /// first calls.
    #[test]
    fn a_month_is_everything_that_users_do_and_the_stack() {
        assert!((PRICES.all(0.0) - 4.0).abs() < 1e-9);
        assert!((PRICES.all(1e6) - 4.0 - 813.51 - 0.219).abs() < 1e-6);
    }

    #[test]
    fn what_is_free_is_cheaper_until_it_ends() {
        let turns = |name: &str| PRICES.turns(OTHERS.iter().find(|(other, _)| *other == name).unwrap().1);
        assert_eq!(turns("Auth0 Free"), Some(25_001));
        // 12.35 for 10,000 users, and each further one is 0.00469 dearer there.
        assert_eq!(turns("Cognito Lite"), Some(12_637));
        assert_eq!(turns("Auth0 Professional, at the rate of its first 500 users"), Some(1));
        assert_eq!(PRICES.turns(|_| Some(0.0)), None);
    }
}
