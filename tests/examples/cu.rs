use rebate_tests::platform::*;
fn main(){
    let p=TestPlatform::with_sample_rules();
    p.pay(&[payment("A0","u1",5000)]).unwrap();
    let e=p.pay(&[payment("A1","u1",5000)]).unwrap();
    println!("one: {} cu, {} bytes", e.compute_units, e.bytes);
    for l in &e.landed.logs { println!("{l}"); }
    for i in 0..4 { p.open_for(&payment("x",&format!("b{i}"),1)); }
    for i in 0..4 { p.pay(&[payment(&format!("y{i}"),&format!("b{i}"),1)]).unwrap(); }
    let b:Vec<_>=(0..4).map(|i| payment(&format!("B{i}"),&format!("b{i}"),5000)).collect();
    let e=p.pay(&b).unwrap();
    println!("four: {} cu = {} each, {} bytes", e.compute_units, e.compute_units/4, e.bytes);
    for l in &e.landed.logs { println!("{l}"); }
}
